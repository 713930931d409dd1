/** The minimum that must work on a version of Node: types are stripped, the addon loads, both processes run, one job, one answer. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { GraftClient } from '@graft/client';
import { writeTinyModel } from '@graft/peft-core/testing';
import { createTestDatabase } from '@graft/service/testing';
import {
  freePort,
  graftEnvironment,
  newBootstrapKey,
  type RunningProcess,
  startProcess,
  whenReady,
} from '../service/running-graft.ts';

const key = newBootstrapKey();
let folder: string;
let database: Awaited<ReturnType<typeof createTestDatabase>>;
let graft: RunningProcess;
let client: GraftClient;
let model: string | null;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'graft-smoke-'));
  await writeTinyModel(join(folder, 'tiny'), { max_position_embeddings: 64 });
  await writeFile(join(folder, 'base-models.json'), JSON.stringify({ tiny: { folder: 'tiny' } }));
  const turn = (role: string, content: string) => ({ role, content });
  const lines = Array.from({ length: 8 }, (_, i) =>
    JSON.stringify({ messages: [turn('user', `a${i}`), turn('assistant', 'b')] }),
  );
  await writeFile(join(folder, 'train.jsonl'), lines.join('\n'));
  database = await createTestDatabase();
  const port = await freePort();
  // The API, worker, trainer and generator run on the same version of Node.
  graft = startProcess(
    'scripts/start/main.ts',
    [],
    graftEnvironment({
      PORT: String(port),
      DATABASE_URL: database.url,
      GRAFT_DATA_DIR: join(folder, 'data'),
      GRAFT_BASE_MODELS: join(folder, 'base-models.json'),
      GRAFT_BOOTSTRAP_KEY: key,
    }),
  );
  client = new GraftClient({ baseUrl: `http://127.0.0.1:${port}/v1`, apiKey: key });
  await whenReady(graft, `http://127.0.0.1:${port}/readyz`);
});

after(async () => {
  const code = await graft?.end('SIGTERM');
  await database?.drop();
  await rm(folder, { recursive: true, force: true });
  assert.equal(code, 0, graft.tail());
});

test('a job trains, and its adapter downloads whole', async () => {
  const { id: training_file } = await client.files.upload({ file: join(folder, 'train.jsonl') });
  const { id } = await client.fineTuning.jobs.create({
    model: 'tiny',
    training_file,
    peft: { peft_type: 'LORA', r: 2, target_modules: ['q_proj', 'v_proj'] },
    training: { max_steps: 2, precision: 'fp32' },
  });
  const deadline = performance.now() + 120_000;
  let job = await client.fineTuning.jobs.retrieve(id);
  while (job.status !== 'succeeded') {
    const waits = job.status !== 'failed' && performance.now() < deadline;
    assert.ok(waits, `${JSON.stringify(job)}\n${graft.tail()}`);
    await sleep(100);
    job = await client.fineTuning.jobs.retrieve(id);
  }
  model = job.fine_tuned_model;
  const metrics = await client.fineTuning.jobs.metrics(id);
  assert.equal(metrics.filter(({ kind }) => kind === 'train').length, 2);
  const version = (await client.adapters.retrieveVersionOf(String(model)))!;
  let bytes = 0;
  for await (const chunk of client.adapters.download(version.adapter_id, version.version).bytes())
    bytes += chunk.byteLength;
  assert.ok(bytes > 1000);
});

test('the adapter answers', async () => {
  const answer = await client.chat.completions.create({
    model: String(model),
    messages: [{ role: 'user', content: 'a1' }],
    max_tokens: 4,
  });
  assert.equal(answer.choices.length, 1);
  assert.ok(answer.usage.prompt_tokens > 0);
});
