/**
 * Training on preferences through a complete Graft: metrics, events and the version of a job; and kill -9 of its worker, after which
 * another one reads the reference from the checkpoint and publishes the same bits.
 */
import assert from 'node:assert/strict';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FineTuningJob, GraftClient, type JobCreateParams } from '@graft/client';
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

const folder = scratchFolder('preferences');
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
const checkpointSteps = 10;
let api: RunningProcess;
let worker: RunningProcess;
const files = { pairs: '', judged: '', manyPairs: '' };

before(async () => {
  await chmod(folder, 0o755);
  await writeTinyModel(join(folder, 'tiny'), {});
  await writeFile(join(folder, 'base-models.json'), JSON.stringify({ tiny: { folder: 'tiny' } }));
  api = startProcess('scripts/start/main.ts', ['api'], env);
  await whenReady(api, `http://127.0.0.1:${port}/healthz`);
  worker = startProcess('apps/worker/src/main.ts', [], env);
  const upload = async (name: string, lines: object[]) => {
    const file = join(folder, name);
    await writeFile(file, lines.map((line) => JSON.stringify(line)).join('\n'));
    return (await client.files.upload({ file })).id;
  };
  // OpenAI's lines, in chats; the tiny model's tokenizer has a template.
  const said = (role: string, content: string) => [{ role, content }];
  const pairs = Array.from({ length: 8000 }, (_, i) => ({
    input: { messages: said('user', `Which of ${i}?`) },
    preferred_output: said('assistant', `the first, ${i}`),
    non_preferred_output: said('assistant', `none at all ${i}`),
  }));
  files.pairs = await upload('pairs.jsonl', pairs.slice(0, 16));
  files.manyPairs = await upload('many-pairs.jsonl', pairs);
  const judged = Array.from({ length: 16 }, (_, i) => ({
    prompt: `Which of ${i}?`,
    completion: i % 2 === 0 ? ` the first, ${i}` : ` none at all ${i}`,
    label: i % 2 === 0,
  }));
  files.judged = await upload('judged.jsonl', judged);
});

after(async () => {
  const codes = [await worker.end('SIGTERM'), await api.end('SIGTERM')];
  await services.close();
  assert.deepEqual(codes, [0, 0], `worker and API stopped with ${codes}:\n${worker.tail()}\n${api.tail()}`);
});

const create = (more: Omit<JobCreateParams, 'model'>) =>
  jobs.create({
    model: 'tiny',
    seed: 7,
    peft: { peft_type: 'LORA', r: 4, lora_alpha: 8, target_modules: 'all-linear' },
    ...more,
  });

const dpo = (n_epochs: number, batch_size = 4) =>
  create({
    training_file: files.pairs,
    method: { type: 'dpo', dpo: { hyperparameters: { beta: 0.2, n_epochs, batch_size } } },
    training: {
      learning_rate: 1e-3,
      validation_split: 0.2,
      checkpoint_steps: checkpointSteps,
      precision: 'fp32',
      preference: { loss_type: ['sigmoid', 'sft'], loss_weights: [1, 0.1] },
    },
  });

const isOver = ({ status }: FineTuningJob) => ['succeeded', 'failed', 'cancelled'].includes(status);

async function until(id: string, holds: (job: FineTuningJob) => boolean): Promise<FineTuningJob> {
  const deadline = performance.now() + 240_000;
  for (;;) {
    const job = await jobs.retrieve(id);
    if (holds(job)) return job;
    if (performance.now() > deadline) throw new Error(`still ${job.status}:\n${worker.tail()}`);
    await sleep(100);
  }
}

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

test('a job that leaves the rate of dpo to Graft has both until the reference pass decides', async () => {
  const { id } = await create({
    training_file: files.pairs,
    method: { type: 'dpo' },
    training: { max_steps: 2, precision: 'fp32' },
  });
  const job = await succeeded(id);
  const training = job.training as { learning_rate: number; learning_rate_if_known: number };
  assert.ok(
    training.learning_rate_if_known < training.learning_rate,
    'the tiny model knows none of these answers',
  );
  assert.match(job.training_reasons!.learning_rate!, /0\.25 of what suits LoRA.*; .* if the reference pass/);
  assert.match(
    await messagesOf(id),
    /it prefers the chosen answer in \d+ % of them, with a mean probability of \S+ per token, so training uses learning_rate$/m,
  );
});

test('a dpo job: rewards in series, evaluations and the version, and an event of the reference', async () => {
  const job = await succeeded((await dpo(6)).id);
  assert.equal(job.method.type, 'dpo');
  assert.equal(job.method.dpo?.hyperparameters?.beta, 0.2);
  assert.deepEqual(job.training.preference, {
    beta: 0.2,
    loss_type: ['sigmoid', 'sft'],
    loss_weights: [1, 0.1],
  });
  const rows = await jobs.metrics(job.id);
  const steps = rows.filter(({ kind }) => kind === 'train');
  const names = ['rewards_margin', 'rewards_chosen', 'rewards_rejected', 'logps_chosen', 'logps_rejected'];
  for (const name of [...names, 'chosen_token_accuracy'])
    assert.ok(Number.isFinite(steps.at(-1)?.metrics[name]), `${name} in ${JSON.stringify(steps.at(-1))}`);
  assert.ok(Math.abs(steps[0]!.metrics.rewards_margin!) < 1e-4, 'at first the model is its reference');
  assert.ok(steps.at(-1)!.metrics.rewards_margin! > 0);
  const evaluation = rows.findLast(({ kind }) => kind !== 'train')!;
  for (const name of ['rewards_accuracy', ...names])
    assert.ok(Number.isFinite(evaluation.metrics[name]), `${name} in ${JSON.stringify(evaluation)}`);
  assert.match(
    await messagesOf(job.id),
    /Log-probabilities of 16 examples computed under the reference model/,
  );
  const { metrics } = await versionOf(job);
  for (const name of ['rewards_accuracy', 'rewards_margin', 'logps_chosen'])
    assert.match(JSON.stringify(metrics), new RegExp(`"${name}":`));
  const answer = await client.completions.create({
    model: job.fine_tuned_model!,
    prompt: 'Which?',
    max_tokens: 2,
  });
  assert.equal(answer.choices.length, 1);
});

test('a kto job measures the divergence from the reference', async () => {
  const job = await succeeded(
    (
      await create({
        training_file: files.judged,
        method: { type: 'kto', kto: { hyperparameters: { batch_size: 4, n_epochs: 3 } } },
        training: { learning_rate: 1e-3, precision: 'fp32' },
      })
    ).id,
  );
  const steps = (await jobs.metrics(job.id)).filter(({ kind }) => kind === 'train');
  assert.ok(steps.length > 0 && steps.every(({ metrics }) => metrics.kl! >= 0), JSON.stringify(steps));
});

test('a sweep of beta publishes its best adapter, and orpo continues it', async () => {
  const sweep = await succeeded(
    (
      await create({
        training_file: files.pairs,
        validation_file: files.pairs,
        sweep: { beta: [0.1, 0.5] },
        training: {
          learning_rate: 1e-3,
          n_epochs: 2,
          metric_for_best_model: 'rewards_margin',
          precision: 'fp32',
        },
      })
    ).id,
  );
  assert.equal(sweep.method.type, 'dpo');
  const { data: trials } = await jobs.trials(sweep.id);
  assert.deepEqual(
    trials.map(({ training }) => training.preference?.beta),
    [0.1, 0.5],
  );
  const winner = trials.find(({ status }) => status === 'won')!;
  assert.equal(sweep.hyperparameters.beta, winner.training.preference?.beta);
  const next = {
    training_file: files.pairs,
    start_from: sweep.fine_tuned_model,
    method: { type: 'orpo' as const },
    training: { learning_rate: 1e-3, n_epochs: 1, precision: 'fp32' as const },
  };
  const continued = await succeeded((await jobs.create({ model: 'tiny', ...next })).id);
  assert.equal(continued.start_from, sweep.fine_tuned_model);
  const again = { ...next, method: { type: 'dpo' as const } };
  const second = await succeeded((await jobs.create({ model: 'tiny', ...again })).id);
  const [first] = (await jobs.metrics(second.id)).filter(({ kind }) => kind === 'train');
  assert.ok(
    Math.abs(first!.metrics.rewards_margin!) < 1e-4,
    'the reference is the version that it continues',
  );
});

test('a dpo job whose worker is killed resumes with the same reference', async () => {
  const undisturbed = await succeeded((await dpo(50, 2)).id);
  // The worker keeps the program of the last job, which this one shares.
  const { data: attempts } = await jobs.attempts((await succeeded((await dpo(50, 2)).id)).id);
  assert.equal(attempts.filter(({ kind }) => kind === 'training').length, 1, JSON.stringify(attempts));
  const { id } = await dpo(50, 2);
  const reached = await until(id, (job) => (job.progress?.step ?? 0) >= 3 * checkpointSteps || isOver(job));
  assert.equal(reached.status, 'running', 'the job was over before the worker could be killed');
  await worker.end('SIGKILL');
  worker = startProcess('scripts/start/main.ts', ['worker'], env);
  const job = await succeeded(id);
  assert.equal(await weights(job), await weights(undisturbed));
  const messages = await messagesOf(id);
  assert.match(messages, /resumed from the checkpoint at step \d+/);
  assert.equal(messages.match(/computed under the reference model/g)?.length, 1, 'it is computed once');
});

test('a dpo job whose worker is killed in the reference pass starts the pass again', async () => {
  const long = () =>
    create({
      training_file: files.manyPairs,
      method: { type: 'dpo', dpo: { hyperparameters: { batch_size: 1 } } },
      training: { learning_rate: 1e-3, max_steps: 4, precision: 'fp32' },
    });
  const undisturbed = await succeeded((await long()).id);
  const { id } = await long();
  const isInPass = async (job: FineTuningJob) =>
    isOver(job) || /reference model: [\d,]+ of 8,000 examples/.test(await messagesOf(id));
  let reached = await jobs.retrieve(id);
  while (!(await isInPass(reached))) {
    await sleep(50);
    reached = await jobs.retrieve(id);
  }
  assert.equal(reached.status, 'running', 'the job was over before the worker could be killed');
  await worker.end('SIGKILL');
  assert.doesNotMatch(await messagesOf(id), /computed under the reference model/);
  worker = startProcess('scripts/start/main.ts', ['worker'], env);
  const job = await succeeded(id);
  assert.equal(await weights(job), await weights(undisturbed));
  const losses = async (of: string) =>
    (await jobs.metrics(of)).map(({ step, loss, metrics }) => [step, loss, metrics.rewards_margin]);
  assert.deepEqual(await losses(id), await losses(undisturbed.id));
});
