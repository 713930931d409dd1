/** Sends jobs' metrics to a server with wandb's protocol, on real Postgres. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import type { JobIntegrationRequest } from '@graft/wire/integration';
import { graftAdmin } from '../../audit/actor.ts';
import { leaseOf } from '../../jobs/job.ts';
import { publishAdapterVersion } from '../../jobs/transitions/publish-adapter-version.ts';
import { cancelRunningJob } from '../../jobs/transitions/stop-running-job.ts';
import { cancelJob } from '../../jobs/transitions/user-requests.ts';
import type { Services } from '../../services.ts';
import { createTestJob, createTestTeam, type TestTeam, testAdapter } from '../../testing/job-fixtures.ts';
import { openTestServices } from '../../testing/open-test-services.ts';
import { deleteIntegration, putIntegration } from '../manage-integrations.ts';
import { messagesOf, quick, startMetricJob, trainSteps, untilSent } from '../testing/metric-job.ts';
import { openWandbServer, type WandbServer } from '../testing/wandb-server.ts';
import { type IntegrationTimes, startIntegrationSender } from './integration-sender.ts';

const secret = 'canary-of-a-key-1234567890';
const project: JobIntegrationRequest = { type: 'wandb', wandb: { project: 'p', name: 'first', tags: ['t'] } };
const by = graftAdmin;

let services: Services;
let team: TestTeam;
let other: TestTeam;
let wandb: WandbServer;
let sender: { close(): Promise<void> } | undefined;

before(async () => {
  services = await openTestServices({ env: { GRAFT_INTEGRATION_ALLOW: '127.0.0.1' } });
  team = await createTestTeam(services);
  other = await createTestTeam(services);
  wandb = await openWandbServer();
  await putIntegration(services, team.id, 'wandb', { url: wandb.url, secret }, by);
});
afterEach(async () => {
  await sender?.close();
  sender = undefined;
  wandb.next = [];
});
after(async () => {
  await wandb?.close();
  await services?.close();
});

const start = (times: Partial<IntegrationTimes> = {}) => {
  sender = startIntegrationSender(services, { ...quick, ...times });
};
const stepsOf = (id: string, name: string) =>
  wandb.runs
    .get(id)
    ?.history.filter((line) => name in line)
    .map((line) => line['train/global_step']);
const range = (length: number, by = 1) => Array.from({ length }, (_, i) => (i + 1) * by);

test('every step and evaluation arrives once, over restarts of the sender, and how the job ends', async () => {
  const job = await startMetricJob(services, team, project);
  await trainSteps(services, job, 1, 12);
  start();
  await untilSent(services, job, ({ sent }) => sent === 14);
  await sender!.close();
  await trainSteps(services, job, 13, 40);
  start();
  await untilSent(services, job, ({ sent }) => sent === 48);
  await trainSteps(services, job, 41, 43);
  await publishAdapterVersion(services, leaseOf(job), { ...testAdapter, artifact: 'cd'.repeat(32) });
  await untilSent(services, job, ({ status }) => status === 'finished');

  const run = wandb.runs.get(job.id)!;
  assert.equal(run.history.length, 51);
  assert.deepEqual(
    run.history.map(({ _step }) => _step),
    run.history.map((_, i) => i),
  );
  assert.deepEqual(stepsOf(job.id, 'train/loss'), range(43));
  assert.deepEqual(stepsOf(job.id, 'eval/loss'), range(8, 5));
  assert.equal(run.history[0]!['train/loss'], 2);
  assert.equal(run.history[0]!['train/learning_rate'], 1e-4);
  assert.equal(run.history[0]!['train/memory_bytes'], 7e9);
  assert.deepEqual([run.summary['train/loss'], run.summary['eval/loss']], [2 / 43, 3 / 40]);
  assert.equal(run.exitcode, 0);
  assert.equal(run.upserts, 1, 'the run was resumed, not made again');
  assert.deepEqual(
    [run.variables.project, run.variables.displayName, run.variables.tags],
    ['p', 'first', ['t']],
  );
  const config = JSON.parse(run.variables.config as string);
  assert.equal(config['peft.r'].value, 4);
  assert.equal(config.base_model.value, 'smollm2-135m-instruct');
  assert.deepEqual([...wandb.authorizations], [`Basic ${Buffer.from(`api:${secret}`).toString('base64')}`]);
  const url = `${wandb.url}/acme/p/runs/${job.id}`;
  assert.ok((await messagesOf(services, job)).includes(`Metrics are sent to wandb: ${url}`));
});

test('a server that is unavailable, slow or loses its answers costs no step and is reported once', async () => {
  const job = await startMetricJob(services, team, project);
  await trainSteps(services, job, 1, 10);
  wandb.next = [503, 'lost', 'answered', 'lost', 500, 'lost', 429];
  start();
  await untilSent(services, job, ({ sent }) => sent === 12);
  assert.deepEqual(stepsOf(job.id, 'train/loss'), range(10));
  assert.equal(wandb.runs.get(job.id)!.history.length, 12);
  const messages = (await messagesOf(services, job)).filter((message) => /do not reach/.test(message));
  assert.equal(messages.length, 1, messages.join('\n'));
  assert.match(
    messages[0]!,
    /^Metrics do not reach wandb at the moment\. It answered 503\. Retrying; training/,
  );
  await cancelJob(services, team.id, job.id, by);
  await cancelRunningJob(services, leaseOf(job));
  await untilSent(services, job, ({ status }) => status === 'finished');
  assert.equal(wandb.runs.get(job.id)!.exitcode, 255);
});

test('sending stops with a reason after repeated refusals, and the job continues', async () => {
  const bucket = (name: unknown, project: object) => ({
    data: { upsertBucket: { bucket: { name, project } } },
  });
  const odd = [bucket('r', {}), [1], bucket(7, { name: 'p', entity: { name: 'e' } })];
  const long = bucket('r', { name: 'p'.repeat(9_000), entity: { name: 'e' } });
  const refusals: [JobIntegrationRequest, WandbServer['next'], RegExp][] = [
    [project, [401, 401, 401], /It answered 401 to upsertBucket: the secret is not/],
    [project, [302, 302, 302], /It answered 302 to upsertBucket: redirects are not followed\./],
    [{ type: 'wandb', wandb: { project: 'p', entity: 'somebody-else' } }, [], /this key may not/],
    [project, odd, /Its answer is not one of a wandb server/],
    [project, [long, long, long], /Its answer is not one of a wandb server/],
  ];
  for (const [request, next, why] of refusals) {
    const job = await startMetricJob(services, team, request);
    await trainSteps(services, job, 1, 3);
    wandb.next = next;
    start();
    await untilSent(services, job, ({ status }) => status === 'given_up');
    await sender!.close();
    const last = (await messagesOf(services, job)).at(-1)!;
    assert.match(last, /^Metrics are not sent to wandb any more\./);
    assert.match(last, why);
    assert.match(last, /The job itself is not affected/);
    assert.ok(await services.db.job.findFirst({ where: { id: job.id, state: 'running' } }));
  }
});

test('sending stops when a server is unavailable for too long, or its integration is deleted', async () => {
  const gone = await openWandbServer();
  await gone.close();
  await putIntegration(services, other.id, 'wandb', { url: gone.url, secret }, by);
  const away = await startMetricJob(services, other, project);
  await trainSteps(services, away, 1, 3);
  start({ giveUpSeconds: 0.3 });
  await untilSent(services, away, ({ status }) => status === 'given_up');
  assert.match((await messagesOf(services, away)).at(-1)!, /No answer came from the server/);

  const job = await startMetricJob(services, other, project);
  await deleteIntegration(services, other.id, 'wandb', by);
  await trainSteps(services, job, 1, 3);
  await untilSent(services, job, ({ status }) => status === 'given_up');
  assert.match((await messagesOf(services, job)).at(-1)!, /Your team has no wandb integration any more/);
});

test('no address inside is reached that the operator has not opened', async () => {
  const closed = await openTestServices();
  try {
    const team = await createTestTeam(closed);
    await assert.rejects(putIntegration(closed, team.id, 'wandb', { url: wandb.url, secret }, by), {
      code: 'invalid_integration',
      message:
        /not on the internet; the operator of this server can open it with its port \(GRAFT_INTEGRATION_ALLOW\)/,
    });
    const { id } = await putIntegration(closed, team.id, 'wandb', { secret }, by);
    // Like a name that resolves to an internal address only when it is looked up.
    await closed.db.integration.updateMany({ where: { id }, data: { url: 'https://inside.example' } });
    const job = await startMetricJob(closed, team, project);
    await trainSteps(closed, job, 1, 3);
    const before = wandb.requests;
    const rebinding = startIntegrationSender(closed, { ...quick, resolve: async () => ['127.0.0.1'] });
    await untilSent(closed, job, ({ failures }) => failures >= 2);
    await rebinding.close();
    assert.equal(wandb.requests, before);
    assert.match((await messagesOf(closed, job)).at(-1)!, /No answer came from the server/);
  } finally {
    await closed.close();
  }
});

test('a job that never ran has nothing to send, and one team’s secret is no other’s', async () => {
  const before = wandb.requests;
  const job = await createTestJob(services, team, 'queued', { integrations: [project] });
  start();
  await cancelJob(services, team.id, job.id, by);
  await untilSent(services, job, ({ status }) => status === 'finished');
  assert.equal(wandb.requests, before);

  const row = (await services.db.integration.findFirst({ where: { teamId: team.id } }))!;
  assert.ok(!Buffer.from(row.sealed!).includes(secret));
  // The ciphertext of another row cannot be opened.
  const { id } = await putIntegration(services, other.id, 'wandb', { url: wandb.url, secret: 'own' }, by);
  await services.db.integration.updateMany({ where: { id }, data: { sealed: row.sealed } });
  const theirs = await startMetricJob(services, other, project);
  await trainSteps(services, theirs, 1, 1);
  await untilSent(services, theirs, ({ status }) => status === 'given_up');
  assert.match((await messagesOf(services, theirs)).at(-1)!, /cannot be read any more: give it again/);
});
