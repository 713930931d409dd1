/** The operator quarantines a real worker during training in the dashboard, and releases it. No job is lost. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { FineTuningJob, JobAttempt, JobMetric } from '@graft/client';
import { type ForkedWorker, forkWorker } from '../../apps/worker/src/testing/forked-worker.ts';
import { type BrowserBench, openBrowserBench, type Visit } from './browser-bench.ts';

let bench: BrowserBench;
let worker: ForkedWorker;
let visit: Visit;
/** A job that waits until the worker is released. */
let waiting: string;
before(async () => {
  bench = await openBrowserBench();
  worker = await forkWorker(bench.services);
  visit = await bench.visit(await bench.operator(), '/operator/workers');
});
after(async () => {
  worker?.kill('SIGTERM');
  await worker?.exited;
  await bench?.close();
});

/** Steps for some seconds of training on any machine, and for some minutes, whose end is not awaited. */
const [seconds, minutes] = [2_500, 20_000];

async function makeJob(steps: number): Promise<string> {
  const lines = Array.from(
    { length: 400 },
    (_, i) => `{"prompt":"what is ${i}","completion":"it is ${i}"}\n`,
  );
  const training_file = await bench.acme.upload(lines.join(''));
  const { status, json } = await bench.acme.send('POST', '/v1/fine_tuning/jobs', {
    model: 'tiny',
    training_file,
    hyperparameters: { batch_size: 1, n_epochs: 50 },
    training: { max_steps: steps, checkpoint_steps: 50, precision: 'fp32' },
  });
  assert.equal(status, 200, JSON.stringify(json));
  return json.id;
}

const jobOf = async (id: string): Promise<FineTuningJob> =>
  (await bench.acme.send('GET', `/v1/fine_tuning/jobs/${id}`)).json;

async function until(id: string, holds: (job: FineTuningJob) => boolean): Promise<FineTuningJob> {
  const end = performance.now() + 300_000;
  for (;;) {
    const job = await jobOf(id);
    if (holds(job)) return job;
    assert.ok(performance.now() < end && job.status !== 'failed', JSON.stringify(job));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
const isTraining = ({ status, progress }: FineTuningJob) => status === 'running' && (progress?.step ?? 0) > 0;

/** The outcome of each training attempt. */
async function outcomesOf(id: string) {
  const { json } = await bench.acme.send('GET', `/v1/fine_tuning/jobs/${id}/attempts`);
  return (json.data as JobAttempt[]).filter(({ kind }) => kind === 'training').map(({ outcome }) => outcome);
}

const row = (text: string) => visit.page.getByRole('row').filter({ hasText: text });
const button = (name: string) => visit.page.getByRole('button', { name, exact: true });

async function quarantine(reason: string, mode: string): Promise<void> {
  await button('Quarantine').click();
  const dialog = visit.page.getByRole('dialog');
  await dialog.getByLabel('Reason').fill(reason);
  await dialog.getByText(mode, { exact: true }).click();
  await dialog.getByRole('button', { name: 'Quarantine' }).click();
}

test('a quarantined worker finishes its job and takes no new one until it is released', async () => {
  const first = await makeJob(seconds);
  await until(first, isTraining);
  await quarantine('gets new memory', 'Finish running jobs');
  await row('Finishing its running jobs').filter({ hasText: 'quarantined' }).waitFor();
  waiting = await makeJob(minutes);
  await bench.untilState(waiting, 'queued');

  await until(first, ({ status }) => status === 'succeeded');
  await row('0 of 1 slot').filter({ hasText: 'No jobs left. The process can be stopped' }).waitFor();
  await row('gets new memory').waitFor();
  await visit.checkAccess();
  await visit.picture('operator-drained');
  assert.deepEqual(await outcomesOf(first), ['succeeded']);
  assert.deepEqual([(await jobOf(waiting)).status, await outcomesOf(waiting)], ['queued', []]);

  await button('Release').click();
  await row('ready').filter({ hasText: '1 of 1 slot' }).waitFor();
  await until(waiting, isTraining);
});

test('a drained worker releases its job at a checkpoint and resumes it when it is released', async () => {
  await quarantine('goes home', 'Drain');
  await row('0 of 1 slot').filter({ hasText: 'No jobs left' }).waitFor();
  const { status, progress } = await jobOf(waiting);
  assert.equal(status, 'queued');
  assert.deepEqual(await outcomesOf(waiting), ['released']);

  await button('Release').click();
  await until(waiting, (job) => isTraining(job) && job.progress!.step > progress!.step);
  assert.deepEqual(await outcomesOf(waiting), ['released', null]);
  const answer = await bench.acme.send('GET', `/v1/fine_tuning/jobs/${waiting}/metrics?limit=5000`);
  const trained = (answer.json.data as JobMetric[]).flatMap(({ kind, step }) =>
    kind === 'train' ? step : [],
  );
  assert.ok(trained.length > progress!.step);
  assert.deepEqual(
    trained,
    trained.map((_, i) => i + 1),
    'every step was trained once',
  );
  await bench.acme.send('POST', `/v1/fine_tuning/jobs/${waiting}/cancel`);
  await visit.leave();
});
