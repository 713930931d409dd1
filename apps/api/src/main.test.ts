import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeTinyModel } from '@graft/peft-core/testing';
import { loadServiceEnv } from '@graft/service/environment';
import { createApiKey } from '@graft/service/keys';
import { createLogger } from '@graft/service/logger';
import { openServices } from '@graft/service/services';
import { createTeam } from '@graft/service/teams';
import { createTestDatabase } from '@graft/service/testing';
import { chatLine, uploadForm } from './testing/open-api-bench.ts';

test('the process serves, validates a job, never loads TensorFlow, logs no secret, and ends on SIGTERM', async () => {
  const database = await createTestDatabase();
  const folder = await mkdtemp(join(tmpdir(), 'graft-main-'));
  await writeTinyModel(join(folder, 'tiny'), { max_position_embeddings: 64 });
  await writeFile(join(folder, 'models.json'), JSON.stringify({ tiny: { folder: 'tiny' } }));
  const env = {
    DATABASE_URL: database.url,
    GRAFT_DATA_DIR: join(folder, 'data'),
    GRAFT_BASE_MODELS: join(folder, 'models.json'),
    PORT: '0',
  };
  const services = await openServices({
    role: 'admin',
    env: loadServiceEnv(env),
    log: createLogger({ level: 'silent', name: 'test' }),
  });
  const child = fork(new URL('./main.ts', import.meta.url), {
    env: { ...env, PATH: process.env.PATH },
    silent: true,
  });
  let log = '';
  child.stdout!.on('data', (chunk) => {
    log += chunk;
  });
  let errors = '';
  child.stderr!.on('data', (chunk) => {
    errors += chunk;
  });
  try {
    const team = await createTeam(services, { name: 'acme' });
    const { key } = await createApiKey(services, team.id, { name: 'x', role: 'member' });
    const [ready] = await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(() => Promise.reject(new Error(errors))),
    ]);
    assert.equal(ready.type, 'ready');
    const headers = { authorization: `Bearer ${key}` };
    const secretText = chatLine.replace('"a"', '"the secret of the data"');
    const upload = await fetch(`${ready.address}/v1/files`, {
      method: 'POST',
      headers,
      body: uploadForm(secretText),
    });
    const file = (await upload.json()) as { id: string };
    const create = await fetch(`${ready.address}/v1/fine_tuning/jobs`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'tiny', training_file: file.id, metadata: { note: 'the secret note' } }),
    });
    const job = (await create.json()) as { id: string };
    // The second event of the stream, after validation, ends the wait.
    const events = await fetch(`${ready.address}/v1/fine_tuning/jobs/${job.id}/events?stream=true`, {
      headers,
    });
    let seen = '';
    for await (const text of events.body!.pipeThrough(new TextDecoderStream())) {
      seen += text;
      if (/queued|error/.test(seen)) break;
    }
    assert.match(seen, /moving job to queued state/);

    if (process.platform === 'linux') {
      const maps = await readFile(`/proc/${child.pid}/maps`, 'utf8');
      assert.match(maps, /\/node/);
      assert.doesNotMatch(maps, /tensorflow|tfjs/i);
    }

    child.kill('SIGTERM');
    const [code] = await once(child, 'exit');
    assert.equal(code, 0, errors + log);
    assert.match(log, /"route":"\/v1\/fine_tuning\/jobs"/);
    assert.doesNotMatch(log + errors, /secret/);
    assert.ok(!log.includes(key) && !log.includes(key.split('_')[2]!));
  } finally {
    child.kill('SIGKILL');
    await services.close();
    await database.drop();
    await rm(folder, { recursive: true });
  }
});
