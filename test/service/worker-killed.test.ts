/**
 * kill -9 of the worker in the middle of a job: none of its processes survives, another worker resumes the job from its checkpoint, and
 * the one published version is bit-identical to that of an undisturbed job.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type AdapterVersion, type FineTuningJob, GraftClient } from '@graft/client';
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

const steps = 400;
const checkpointSteps = 25;
const fixture = await tinyFixture();
const folder = scratchFolder('killed');
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
let trainingFile: string;

before(async () => {
  await writeFile(baseModels, JSON.stringify({ 'tiny-llama': { folder: fixture.modelFolder('tied') } }));
  await writeExamples(join(folder, 'train.jsonl'), 'chat', 40);
  api = startProcess('scripts/start/main.ts', ['api'], env);
  await whenReady(api, `http://127.0.0.1:${port}/healthz`);
  worker = startProcess('apps/worker/src/main.ts', [], env);
  trainingFile = (await client.files.upload({ file: join(folder, 'train.jsonl') })).id;
});

after(async () => {
  const codes = [await worker.end('SIGTERM'), await api.end('SIGTERM')];
  await services.close();
  assert.deepEqual(codes, [0, 0], `worker and API stopped with ${codes}:\n${worker.tail()}\n${api.tail()}`);
});

test('a job whose worker is killed resumes and publishes one version', async () => {
  const undisturbed = await finished((await createJob()).id);
  assert.equal(undisturbed.status, 'succeeded', JSON.stringify(undisturbed.error));

  const { id } = await createJob();
  const reached = await until(id, (job) => (job.progress?.step ?? 0) >= 3 * checkpointSteps || isOver(job));
  assert.equal(reached.status, 'running', 'the job was over before the worker could be killed');
  const orphans = descendants(worker.pid);
  assert.ok(orphans.length > 0, 'no trainer was running');
  await worker.end('SIGKILL');
  await withoutProcesses(orphans);
  // Started like `npm run start:worker`; the API above like `npm run start:api`.
  worker = startProcess('scripts/start/main.ts', ['worker'], env);

  const job = await finished(id);
  assert.equal(job.status, 'succeeded', `${JSON.stringify(job.error)}\n${worker.tail()}`);
  const metrics = (await client.fineTuning.jobs.metrics(id)).filter((metric) => metric.kind === 'train');
  assert.deepEqual(
    metrics.map((metric) => metric.step),
    Array.from({ length: steps }, (_, i) => i + 1),
    'every step is reported once',
  );

  const versions: AdapterVersion[] = [];
  for await (const adapter of client.adapters.list()) {
    for await (const version of client.adapters.versions.list(adapter.id)) {
      if (version.fine_tuning_job_id === id) versions.push(version);
    }
  }
  assert.equal(versions.length, 1);
  assert.equal(versions[0]?.model, job.fine_tuned_model);
  const reference = await client.adapters.retrieveVersionOf(String(undisturbed.fine_tuned_model));
  const weights = (version: AdapterVersion | null | undefined) =>
    version?.files.find((file) => file.path === 'adapter_model.safetensors')?.sha256;
  assert.ok(weights(reference));
  assert.equal(weights(versions[0]), weights(reference), 'the resumed training is not the undisturbed one');

  // The second attempt resumed from a checkpoint instead of starting over.
  const eventMessages: string[] = [];
  for await (const event of client.fineTuning.jobs.events.list(id)) eventMessages.push(event.message);
  const resumedFrom = /resumed from the checkpoint at step (\d+)/.exec(eventMessages.join('\n'))?.[1];
  assert.ok(
    Number(resumedFrom) >= 2 * checkpointSteps,
    `resumed from ${resumedFrom}:\n${eventMessages.join('\n')}`,
  );

  // Users are informed by an event and by the list of attempts.
  assert.match(eventMessages.join('\n'), /^Worker \S+ lost, resumed from step [\d,]+ after \d+ s$/m);
  const { data: attempts } = await client.fineTuning.jobs.attempts(id);
  assert.deepEqual(
    attempts.map(({ kind, outcome }) => [kind, outcome]),
    [
      ['validation', 'succeeded'],
      ['training', 'lost'],
      ['training', 'succeeded'],
    ],
  );
  const explained = await graft('jobs', 'explain', id);
  assert.match(explained, /trained it from the beginning to step \d+ for .+ Then it was lost: /);
  assert.match(explained, /continued after \d+s\.$/m);
  assert.match(explained, /^Now: it succeeded: ft:tiny-llama:/m);
});

function createJob(): Promise<FineTuningJob> {
  return client.fineTuning.jobs.create({
    model: 'tiny-llama',
    training_file: trainingFile,
    seed: 11,
    hyperparameters: { batch_size: 4, n_epochs: 50 },
    peft: { peft_type: 'LORA', r: 4, lora_dropout: 0.1, target_modules: ['q_proj', 'v_proj'] },
    training: { max_steps: steps, checkpoint_steps: checkpointSteps, precision: 'fp32' },
  });
}

async function graft(...args: string[]): Promise<string> {
  const command = join(import.meta.dirname, '../../apps/cli/bin/graft.mjs');
  const GRAFT_BASE_URL = `http://127.0.0.1:${port}/v1`;
  const { stdout } = await promisify(execFile)(process.execPath, [command, ...args], {
    env: { ...env, GRAFT_BASE_URL, GRAFT_API_KEY: key },
  });
  return stdout;
}

function isOver(job: FineTuningJob): boolean {
  return ['succeeded', 'failed', 'cancelled'].includes(job.status);
}

function finished(id: string): Promise<FineTuningJob> {
  return until(id, isOver);
}

async function until(
  id: string,
  done: (job: FineTuningJob) => boolean,
  seconds = 240,
): Promise<FineTuningJob> {
  const deadline = performance.now() + 1000 * seconds;
  for (;;) {
    const job = await client.fineTuning.jobs.retrieve(id);
    if (done(job)) return job;
    if (performance.now() > deadline) {
      throw new Error(`the job is still ${job.status}: ${JSON.stringify(job.progress)}\n${worker.tail()}`);
    }
    await sleep(100);
  }
}

async function withoutProcesses(pids: number[]): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (pids.some(isAlive)) {
    assert.ok(performance.now() < deadline, `still running: ${pids.filter(isAlive)}`);
    await sleep(50);
  }
}
