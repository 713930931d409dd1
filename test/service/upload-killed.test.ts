/** A multipart upload by the `graft` command while command and API are killed: nothing is sent twice, and exactly one file results. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeTinyModel } from '@graft/peft-core/testing';
import { createApiKey } from '@graft/service/keys';
import { createTeam } from '@graft/service/teams';
import { openTestServices } from '@graft/service/testing';
import { runGraft } from '../../apps/cli/src/testing/run-graft.ts';
import { scratchFolder } from '../golden/fixtures/scratch-folder.ts';
import { freePort, graftEnvironment, startProcess, whenReady } from './running-graft.ts';

const graft = join(import.meta.dirname, '../../apps/cli/bin/graft.mjs');

async function until(what: string, holds: () => Promise<boolean>, tail: () => string): Promise<void> {
  for (const end = performance.now() + 300_000; !(await holds()); await sleep(2))
    assert.ok(performance.now() < end, `waited in vain until ${what}: ${tail()}`);
}

test('the command is killed between parts, the API while it puts them together', async (t) => {
  const folder = scratchFolder('upload-killed');
  await writeTinyModel(join(folder, 'tiny'));
  await writeFile(join(folder, 'models.json'), '{"tiny":{"folder":"tiny"}}');
  // The API's database and folder; the pepper in the folder hashes the key.
  const services = await openTestServices({ role: 'admin' });
  const { sql } = services;
  const data = services.env.dataDir;
  const { id: teamId } = await createTeam(services, { name: 'acme' });
  const { key } = await createApiKey(services, teamId, { name: 'laptop', role: 'member' });
  const port = await freePort();
  const address = `http://127.0.0.1:${port}`;
  const startApi = async () => {
    const env = graftEnvironment({
      PORT: String(port),
      GRAFT_DATA_DIR: data,
      GRAFT_BASE_MODELS: join(folder, 'models.json'),
      DATABASE_URL: services.databaseUrl,
      REDIS_URL: services.env.redisUrl,
      GRAFT_CACHE_DIR: folder,
    });
    const api = startProcess('apps/api/src/main.ts', [], env);
    await whenReady(api, `${address}/readyz`);
    return api;
  };
  let api = await startApi();
  t.after(async () => {
    await api.end('SIGKILL');
    await services.close();
  });
  const count = async (query: string) =>
    Number((await sql.query<{ n: string }>(`SELECT count(*) AS n FROM ${query}`)).rows[0]!.n);
  const env = { GRAFT_BASE_URL: `${address}/v1`, GRAFT_API_KEY: key };

  const lines = Array.from({ length: 20_000 }, (_, i) =>
    JSON.stringify({ text: `${i} ${'word '.repeat(380)}` }),
  );
  const content = `${lines.join('\n')}\n`;
  assert.ok(content.length > 34 * 2 ** 20, 'long enough for three parts');
  const file = join(folder, 'train.jsonl');
  await writeFile(file, content);

  const command = spawn(process.execPath, [graft, 'files', 'upload', file], {
    env: { ...process.env, ...env, GRAFT_ENV_FILE: '', XDG_CONFIG_HOME: '/nonexistent' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  command.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const isThere = async () => (await count('upload_parts')) > 0 || command.exitCode !== null;
  await until('the first part is there', isThere, () => said);
  assert.equal(command.exitCode, null, said);
  command.kill('SIGKILL');
  await once(command, 'exit');
  assert.equal(await count("uploads WHERE status = 'pending'"), 1);

  const resumed = runGraft(['files', 'upload', file, '--json'], { env });
  const isClaimed = async () => (await count('uploads WHERE claim IS NOT NULL')) > 0;
  await until('the parts are put together', isClaimed, api.tail);
  await api.end('SIGKILL');
  await resumed;
  assert.equal(await count('files'), 0);
  api = await startApi();

  // The killed API's claim on the upload expires soon; until then, completing it returns 503, and the client retries.
  let last = await runGraft(['files', 'upload', file, '--json'], { env });
  for (let i = 0; last.code !== 0 && i < 5; i++)
    last = await runGraft(['files', 'upload', file, '--json'], { env });
  assert.equal(last.code, 0, last.stderr);
  assert.match(last.stderr, /^Resuming an upload that has 3\d\.\d MB of 3\d\.\d MB\.$/m);
  const uploaded = JSON.parse(last.stdout);
  assert.equal(uploaded.sha256, createHash('sha256').update(content).digest('hex'));
  assert.deepEqual([await count('files'), await count('uploads'), await count('upload_parts')], [1, 1, 0]);
  // No parts are left, only a draft of the killed completion, which is garbage-collected after a day.
  const stored = await readdir(join(data, 'files'), { recursive: true, withFileTypes: true });
  const whole = stored.filter((entry) => entry.isFile() && !entry.parentPath.endsWith('incoming'));
  assert.equal(whole.length, 1);

  const report = await runGraft(
    ['files', 'report', uploaded.id, '--model', 'tiny', '--max-seq-length', '1906'],
    { env },
  );
  assert.equal(report.code, 0, report.stderr);
  assert.match(report.stdout, /^examples +20,000$/m);
  assert.match(report.stdout, /^too long +10,000 over 1,906 tokens$/m);
  assert.match(report.stdout, / {2}1,90\d {2}█+ [\d,]+$/m);
  assert.match(report.stdout, /^Tokens trained on \(in brackets\)\n.*line 1.*\n {2}0\[ word word/m);
  const json = JSON.parse((await runGraft(['files', 'report', uploaded.id, '--json'], { env })).stdout);
  assert.deepEqual([json.status, json.report.examples, json.report.duplicates.count], ['ready', 20_000, 0]);
});
