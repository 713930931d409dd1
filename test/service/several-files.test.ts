/**
 * A job on a mixture of files with named validation files, created by the command line, whose worker is killed by kill -9: it resumes
 * from its checkpoint, and its adapter and its curves are bit-identical to those of an undisturbed job. The same mixture trained by
 * `graft train` on this machine has the same losses.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type FineTuningJob, GraftClient } from '@graft/client';
import { openTestServices } from '@graft/service/testing';
import { writeExamples } from '../golden/fixtures/example-data.ts';
import { scratchFolder } from '../golden/fixtures/scratch-folder.ts';
import { tinyFixture } from '../golden/fixtures/tiny-fixture.ts';
import { descendants } from './process-tree.ts';
import {
  freePort,
  graftEnvironment,
  isAlive,
  newBootstrapKey,
  type RunningProcess,
  startProcess,
  whenReady,
} from './running-graft.ts';

const steps = 90;
const checkpointSteps = 10;
const fixture = await tinyFixture();
const folder = scratchFolder('several-files');
const services = await openTestServices({ role: 'admin' });
const port = await freePort();
const key = newBootstrapKey();
const client = new GraftClient({ baseUrl: `http://127.0.0.1:${port}/v1`, apiKey: key });
const baseModels = join(folder, 'base-models.json');
const env = graftEnvironment({
  PORT: String(port),
  GRAFT_DATA_DIR: join(folder, 'data'),
  GRAFT_BASE_MODELS: baseModels,
  GRAFT_BOOTSTRAP_KEY: key,
  DATABASE_URL: services.env.databaseUrl,
  REDIS_URL: services.env.redisUrl,
});
let api: RunningProcess;
let worker: RunningProcess;

before(async () => {
  await writeFile(baseModels, JSON.stringify({ 'tiny-llama': { folder: fixture.modelFolder('tied') } }));
  for (const [name, lines] of Object.entries({ chats: 30, facts: 11, maths: 6, law: 4 }))
    await writeExamples(join(folder, `${name}.jsonl`), 'chat', lines);
  api = startProcess('scripts/start/main.ts', ['api'], env);
  await whenReady(api, `http://127.0.0.1:${port}/healthz`, 300);
  worker = startProcess('apps/worker/src/main.ts', [], env);
});

after(async () => {
  const codes = [await worker.end('SIGTERM'), await api.end('SIGTERM')];
  await services.close();
  assert.deepEqual(codes, [0, 0], `worker and API stopped with ${codes}:\n${worker.tail()}\n${api.tail()}`);
});

const at = (name: string) => join(folder, `${name}.jsonl`);
const options = [
  ...['--data', `${at('chats')}:1`, '--data', `${at('facts')}:3`, '--mix', 'interleave_over'],
  ...[
    '--validation',
    at('maths'),
    '--validation',
    `statutes=${at('law')}`,
    '--seed',
    '11',
    '--max-steps',
    String(steps),
  ],
  ...[
    '--batch-size',
    '4',
    '--peft',
    JSON.stringify({ peft_type: 'LORA', r: 4, lora_dropout: 0.1, target_modules: ['q_proj', 'v_proj'] }),
  ],
];
const training = {
  checkpoint_steps: checkpointSteps,
  eval_steps: 15,
  learning_rate: 0.003,
  max_seq_length: 256,
  gradient_checkpointing: false,
  precision: 'fp32',
  metric_for_best_model: 'eval_statutes_loss',
  load_best_model_at_end: true,
};

test('a mixture whose worker is killed ends with the bits of an undisturbed one', async () => {
  const undisturbed = await finished((await createJob()).id);
  assert.equal(undisturbed.status, 'succeeded', JSON.stringify(undisturbed.error));
  assert.equal(undisturbed.training_end?.best?.metric, 'eval_statutes_loss');
  assert.deepEqual(
    undisturbed.validation_files?.map(({ name }) => name),
    ['maths', 'statutes'],
  );

  const { id } = await createJob();
  const reached = await until(id, (job) => (job.progress?.step ?? 0) >= 3 * checkpointSteps || isOver(job));
  assert.equal(reached.status, 'running', 'the job was over before the worker could be killed');
  const orphans = descendants(worker.pid);
  await worker.end('SIGKILL');
  while (orphans.some((pid) => isAlive(pid))) await sleep(50);
  worker = startProcess('scripts/start/main.ts', ['worker'], env);
  const job = await finished(id);
  assert.equal(job.status, 'succeeded', `${JSON.stringify(job.error)}\n${worker.tail()}`);
  assert.deepEqual(job.training_end, undisturbed.training_end);

  const [expected, resumed] = [await curves(undisturbed.id), await curves(id)];
  assert.deepEqual(resumed, expected);
  const evaluations = expected.filter(({ kind }) => kind === 'evaluation');
  assert.equal(evaluations.length, steps / 15);
  for (const { metrics } of evaluations)
    for (const name of ['eval_maths_loss', 'eval_statutes_loss', 'eval_maths_accuracy'])
      assert.ok(Number.isFinite(metrics[name]), `${name} of ${JSON.stringify(metrics)}`);
  const weights = async (name: string | null) =>
    (await client.adapters.retrieveVersionOf(String(name)))?.files.find(
      ({ path }) => path === 'adapter_model.safetensors',
    )?.sha256;
  assert.ok(await weights(job.fine_tuned_model));
  assert.equal(await weights(job.fine_tuned_model), await weights(undisturbed.fine_tuned_model));

  const lineage = (await client.adapters.retrieveVersionOf(String(job.fine_tuned_model)))?.lineage as {
    training_files: { weight: number }[];
  };
  assert.deepEqual(
    lineage.training_files.map(({ weight }) => weight),
    [1, 3],
  );
  const shown = await graft('jobs', 'get', id);
  assert.match(shown, /^data +file-\w+, file-\w+:3; validation maths=file-\w+, statutes=file-\w+$/m);

  // On this machine, without a service.
  const records = (
    await graft(
      'train',
      '--model',
      fixture.modelFolder('tied'),
      '--output',
      join(folder, 'adapter'),
      ...options,
      '--training',
      JSON.stringify(training),
      '--json',
    )
  )
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const local = records.filter(({ type }) => type === 'step').map(({ loss }) => loss);
  const remote = expected.filter(({ kind }) => kind === 'train').map(({ loss }) => loss);
  assert.deepEqual(local, remote);
});

async function createJob(): Promise<{ id: string }> {
  return JSON.parse(
    await graft(
      'jobs',
      'create',
      '--model',
      'tiny-llama',
      ...options,
      '--training',
      JSON.stringify(training),
      '--json',
    ),
  );
}

/** Rows of a job's series, without what the machine's speed changes. */
async function curves(id: string) {
  const rows = await client.fineTuning.jobs.metrics(id);
  return rows.map(({ kind, step, loss, metrics }) => {
    const {
      tokens_per_second: _,
      memory_bytes: __,
      eval_maths_perplexity: ___,
      eval_statutes_perplexity: ____,
      perplexity: _____,
      ...rest
    } = metrics;
    return { kind, step, loss, metrics: rest };
  });
}

async function graft(...args: string[]): Promise<string> {
  const command = join(import.meta.dirname, '../../apps/cli/bin/graft.mjs');
  const GRAFT_BASE_URL = `http://127.0.0.1:${port}/v1`;
  const { stdout } = await promisify(execFile)(process.execPath, [command, ...args], {
    env: { ...env, GRAFT_BASE_URL, GRAFT_API_KEY: key },
    maxBuffer: 2 ** 26,
  });
  return stdout;
}

function isOver(job: FineTuningJob): boolean {
  return ['succeeded', 'failed', 'cancelled'].includes(job.status);
}

async function until(id: string, holds: (job: FineTuningJob) => boolean): Promise<FineTuningJob> {
  const end = performance.now() + 300_000;
  for (;;) {
    const job = await client.fineTuning.jobs.retrieve(id);
    if (holds(job)) return job;
    if (performance.now() > end) throw new Error(`${id} is ${job.status}:\n${worker.tail()}`);
    await sleep(50);
  }
}

const finished = (id: string) => until(id, isOver);
