/**
 * A LoRA that starts from the inputs of its layers (EVA), through a complete Graft: events, the version, and kill -9 of the worker in the pass over
 * the data and after it, after which another worker publishes the same bits.
 */
import assert from 'node:assert/strict';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FineTuningJob, GraftClient } from '@graft/client';
import { writeTinyModel } from '@graft/peft-core/testing';
import { openTestServices } from '@graft/service/testing';
import { scratchFolder } from '../golden/fixtures/scratch-folder.ts';
import {
  freePort,
  graftEnvironment,
  newBootstrapKey,
  type RunningProcess,
  startProcess,
  whenReady,
} from './running-graft.ts';

const folder = scratchFolder('input-starts-service');
const services = await openTestServices({ role: 'admin' });
const port = await freePort();
const key = newBootstrapKey();
const client = new GraftClient({ baseUrl: `http://127.0.0.1:${port}/v1`, apiKey: key });
const { jobs } = client.fineTuning;
const env = graftEnvironment({
  PORT: String(port),
  GRAFT_DATA_DIR: join(folder, 'data'),
  GRAFT_BASE_MODELS: join(folder, 'base-models.json'),
  GRAFT_BOOTSTRAP_KEY: key,
  DATABASE_URL: services.env.databaseUrl,
  REDIS_URL: services.env.redisUrl,
});
const lora = {
  peft_type: 'LORA',
  r: 4,
  lora_alpha: 8,
  target_modules: 'all-linear',
  init_lora_weights: 'eva',
} as const;
let api: RunningProcess;
let worker: RunningProcess;
let file = '';
let manyLines = '';

before(async () => {
  await chmod(folder, 0o755);
  await writeTinyModel(join(folder, 'tiny'), {});
  await writeFile(join(folder, 'base-models.json'), JSON.stringify({ tiny: { folder: 'tiny' } }));
  api = startProcess('scripts/start/main.ts', ['api'], env);
  await whenReady(api, `http://127.0.0.1:${port}/healthz`);
  worker = startProcess('apps/worker/src/main.ts', [], env);
  const upload = async (name: string, count: number) => {
    const lines = Array.from({ length: count }, (_, i) =>
      JSON.stringify({ prompt: `Which of ${i}?`, completion: ` the ${i % 7}th, ${i}` }),
    );
    await writeFile(join(folder, name), lines.join('\n'));
    return (await client.files.upload({ file: join(folder, name) })).id;
  };
  file = await upload('few.jsonl', 40);
  manyLines = await upload('many.jsonl', 8000);
});

after(async () => {
  const codes = [await worker.end('SIGTERM'), await api.end('SIGTERM')];
  await services.close();
  assert.deepEqual(codes, [0, 0], `worker and API stopped with ${codes}:\n${worker.tail()}\n${api.tail()}`);
});

async function until(
  id: string,
  holds: (job: FineTuningJob) => boolean | Promise<boolean>,
): Promise<FineTuningJob> {
  const deadline = performance.now() + 240_000;
  for (;;) {
    const job = await jobs.retrieve(id);
    if (await holds(job)) return job;
    if (performance.now() > deadline) throw new Error(`still ${job.status}:\n${worker.tail()}`);
    await sleep(50);
  }
}

const isOver = ({ status }: FineTuningJob) => ['succeeded', 'failed', 'cancelled'].includes(status);

async function succeeded(id: string): Promise<FineTuningJob> {
  const job = await until(id, isOver);
  assert.equal(job.status, 'succeeded', `${JSON.stringify(job.error)}\n${worker.tail()}`);
  return job;
}

const messagesOf = async (id: string) =>
  (await jobs.events.list(id).toArray()).map(({ message }) => message).join('\n');

const versionOf = async (job: FineTuningJob) =>
  (await client.adapters.retrieveVersionOf(String(job.fine_tuned_model)))!;

const weights = async (of: FineTuningJob) =>
  (await versionOf(of)).files.find(({ path }) => path === 'adapter_model.safetensors')!.sha256;

test('a job reports the pass, and its version is a plain LoRA of the highest rank', async () => {
  const training = { learning_rate: 1e-3, max_steps: 6, precision: 'fp32' as const };
  const { id } = await jobs.create({ model: 'tiny', training_file: file, peft: lora, training });
  const job = await succeeded(id);
  assert.match(
    await messagesOf(id),
    /Start values computed from the inputs of layers over 40 of 40 examples/,
  );
  const requested = job.peft as unknown as Record<string, unknown>;
  assert.equal(requested.r, 4);
  const peft = (await versionOf(job)).peft as unknown as Record<string, unknown>;
  assert.deepEqual([peft.r, peft.lora_alpha, peft.init_lora_weights, peft.eva_config], [8, 16, true, null]);
  // Such a version is a start as any other.
  const next = await jobs.create({ model: job.fine_tuned_model!, training_file: file, training });
  assert.doesNotMatch(await messagesOf((await succeeded(next.id)).id), /Start values/);
});

test('what EVA cannot do is refused before there is a job', async () => {
  const create = (more: object) =>
    jobs.create({ model: 'tiny', training_file: file, peft: { ...lora, ...more } });
  const refused = async (more: object, param: string) =>
    await assert.rejects(create(more), (error: Error & { param?: string; status?: number }) => {
      assert.deepEqual([error.status, error.param], [400, param], error.message);
      return true;
    });
  await refused({ use_rslora: true }, 'peft.use_rslora');
  await refused({ eva_config: { rho: 0 } }, 'peft.eva_config.rho');
  await refused({ eva_config: { tua: 0.9 } }, 'peft.eva_config.tua');
  await refused({ init_lora_weights: true, eva_config: {} }, 'peft.eva_config');
  await refused({ target_modules: ['embed_tokens'] }, 'peft.init_lora_weights');
  await refused({ r: 20 }, 'peft.r');
});

test('killed in the pass, and after it, a job ends with the same bits', async () => {
  const create = () =>
    jobs.create({
      model: 'tiny',
      training_file: manyLines,
      seed: 3,
      peft: { ...lora, eva_config: { rho: 1.5, tau: 1 } },
      training: {
        learning_rate: 1e-3,
        max_steps: 400,
        batch_size: 2,
        checkpoint_steps: 20,
        precision: 'fp32',
      },
    });
  const undisturbed = await succeeded((await create()).id);
  const { id } = await create();
  const kill = async (when: (job: FineTuningJob) => boolean | Promise<boolean>) => {
    const reached = await until(id, async (job) => isOver(job) || (await when(job)));
    assert.equal(reached.status, 'running', 'the job was over before the worker could be killed');
    await worker.end('SIGKILL');
    worker = startProcess('scripts/start/main.ts', ['worker'], env);
  };
  await kill(async () => /inputs of layers over [\d,]+ of 8,000/.test(await messagesOf(id)));
  assert.doesNotMatch(await messagesOf(id), /Start values computed/);
  await kill((job) => (job.progress?.step ?? 0) >= 60);
  const job = await succeeded(id);
  assert.equal(await weights(job), await weights(undisturbed));
  const messages = await messagesOf(id);
  assert.match(messages, /resumed from the checkpoint at step \d+/);
  assert.equal(messages.match(/Start values computed/g)?.length, 1);
});
