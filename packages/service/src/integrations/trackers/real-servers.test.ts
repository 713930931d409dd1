/** Sends jobs' metrics to real MLflow and trackio servers, and reads them back by the servers' APIs. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { graftAdmin } from '../../audit/actor.ts';
import { leaseOf } from '../../jobs/job.ts';
import { publishAdapterVersion } from '../../jobs/transitions/publish-adapter-version.ts';
import type { Services } from '../../services.ts';
import { createTestTeam, type TestTeam, testAdapter } from '../../testing/job-fixtures.ts';
import { openTestServices } from '../../testing/open-test-services.ts';
import { putIntegration } from '../manage-integrations.ts';
import { startIntegrationSender } from '../send/integration-sender.ts';
import { messagesOf, quick, startMetricJob, trainSteps, untilSent } from '../testing/metric-job.ts';
import { openTrackingServer, type TrackingServer, writeToken } from '../testing/tracking-servers.ts';

const by = graftAdmin;
const times = { ...quick, wholeMs: 60_000 };
let services: Services;
let team: TestTeam;
let mlflow: TrackingServer;
let trackio: TrackingServer;

before(async () => {
  [mlflow, trackio] = await Promise.all([openTrackingServer('mlflow'), openTrackingServer('trackio')]);
  services = await openTestServices({ env: { GRAFT_INTEGRATION_ALLOW: '127.0.0.1' } });
  team = await createTestTeam(services);
  await putIntegration(services, team.id, 'mlflow', { url: mlflow.url }, by);
  await putIntegration(services, team.id, 'trackio', { url: trackio.url, secret: writeToken }, by);
});
after(async () => {
  await mlflow?.close();
  await trackio?.close();
  await services?.close();
});

// biome-ignore lint/suspicious/noExplicitAny: answers are what is tested
async function ask(url: string, init: RequestInit = {}): Promise<any> {
  const response = await fetch(url, init);
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return JSON.parse(text);
}

const post = (url: string, body: object) =>
  ask(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

const range = (length: number, by = 1) => Array.from({ length }, (_, i) => (i + 1) * by);

test('mlflow: one run of the experiment has every step, its options, and its end', async () => {
  const settings = { experiment: 'graft experiment', name: 'a run', tags: { owner: 'ada' } };
  const job = await startMetricJob(services, team, { type: 'mlflow', mlflow: settings });
  await trainSteps(services, job, 1, 12);
  const first = startIntegrationSender(services, times);
  await untilSent(services, job, ({ sent }) => sent === 14);
  await first.close();
  // As if the worker was killed before it could record what it had sent.
  await services.db.jobIntegration.updateMany({
    where: { jobId: job.id },
    data: { run: {}, trainStep: 3, evaluationStep: -1, sent: 3 },
  });
  await services.sql.query(`UPDATE job_integrations SET run = NULL WHERE job_id = $1`, [job.id]);
  await trainSteps(services, job, 13, 20);
  await publishAdapterVersion(services, leaseOf(job), { ...testAdapter, artifact: 'ce'.repeat(32) });
  const second = startIntegrationSender(services, times);
  await untilSent(services, job, ({ status }) => status === 'finished');
  await second.close();

  const api = `${mlflow.url}/api/2.0/mlflow`;
  const name = encodeURIComponent(settings.experiment);
  const { experiment } = await ask(`${api}/experiments/get-by-name?experiment_name=${name}`);
  const { runs } = await post(`${api}/runs/search`, { experiment_ids: [experiment.experiment_id] });
  assert.equal(runs.length, 1, 'the run was found again, not made again');
  const [{ info, data }] = runs;
  assert.deepEqual([info.run_name, info.status], ['a run', 'FINISHED']);
  const pairs = (list: { key: string; value: unknown }[]) =>
    Object.fromEntries(list.map(({ key, value }) => [key, value]));
  assert.equal(pairs(data.params)['peft.r'], '4');
  assert.equal(pairs(data.params).base_model, 'smollm2-135m-instruct');
  assert.deepEqual([pairs(data.tags).owner, pairs(data.tags)['graft.job_id']], ['ada', job.id]);
  const history = async (key: string) => {
    const query = `run_id=${info.run_id}&metric_key=${encodeURIComponent(key)}&max_results=1000`;
    const { metrics } = await ask(`${api}/metrics/get-history?${query}`);
    return metrics as { step: number | string; value: number }[];
  };
  const loss = await history('train/loss');
  assert.deepEqual(
    loss.map(({ step }) => Number(step)).toSorted((a, b) => a - b),
    range(20),
  );
  assert.equal(loss.find(({ step }) => Number(step) === 8)?.value, 2 / 8);
  const evaluation = await history('eval/loss');
  assert.deepEqual(
    evaluation.map(({ step }) => Number(step)).toSorted((a, b) => a - b),
    range(4, 5),
  );
  assert.equal((await history('train/learning_rate')).length, 20);
  const place = `${mlflow.url}/#/experiments/${experiment.experiment_id}/runs/${info.run_id}`;
  assert.ok((await messagesOf(services, job)).includes(`Metrics are sent to mlflow: ${place}`));
});

test('trackio: one run of the project has every step and the options', async () => {
  const settings = { project: 'graft-project', name: 'a run', group: 'tests' };
  const job = await startMetricJob(services, team, { type: 'trackio', trackio: settings });
  await trainSteps(services, job, 1, 12);
  const first = startIntegrationSender(services, times);
  await untilSent(services, job, ({ sent }) => sent === 14);
  await first.close();
  await services.db.jobIntegration.updateMany({
    where: { jobId: job.id },
    data: { trainStep: 3, evaluationStep: -1, sent: 3 },
  });
  const second = startIntegrationSender(services, times);
  await trainSteps(services, job, 13, 20);
  await publishAdapterVersion(services, leaseOf(job), { ...testAdapter, artifact: 'cf'.repeat(32) });
  await untilSent(services, job, ({ status }) => status === 'finished');
  await second.close();

  const call = async (name: string, kwargs: object) =>
    (await post(`${trackio.url}/api/${name}`, { args: [], kwargs })).data;
  const { project } = settings;
  const runs = await call('get_runs_for_project', { project });
  assert.deepEqual(
    runs.map((run: string | { name: string; id: string }) => (typeof run === 'string' ? run : run.name)),
    ['a run'],
  );
  const logs: Record<string, number>[] = await call('get_logs', { project, run: 'a run', run_id: job.id });
  const steps = (name: string) =>
    logs
      .filter((log) => name in log)
      .map(({ step }) => step!)
      .toSorted((a, b) => a - b);
  assert.deepEqual(steps('train/loss'), range(20));
  assert.deepEqual(steps('eval/loss'), range(4, 5));
});

test('trackio: a wrong token is a refusal', async () => {
  await putIntegration(services, team.id, 'trackio', { secret: 'wrong' }, by);
  const job = await startMetricJob(services, team, { type: 'trackio', trackio: { project: 'p' } });
  await trainSteps(services, job, 1, 2);
  const sender = startIntegrationSender(services, times);
  await untilSent(services, job, ({ status }) => status === 'given_up');
  await sender.close();
  assert.match(
    (await messagesOf(services, job)).at(-1)!,
    /the write token is not, or no longer, the right one/,
  );
});
