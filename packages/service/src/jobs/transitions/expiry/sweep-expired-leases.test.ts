import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Services } from '../../../services.ts';
import { createTestJob, createTestTeam, dispatch, type TestTeam } from '../../../testing/job-fixtures.ts';
import { openTestServices } from '../../../testing/open-test-services.ts';
import { type Job, leaseOf } from '../../job.ts';
import { heartbeatJob } from '../../leases/heartbeat-job.ts';
import { listAttempts, listEvents } from '../../records/read-job-history.ts';
import { getJob } from '../../records/read-jobs.ts';
import { claimJob } from '../claim-job.ts';
import { staleDispatched } from '../dispatch-jobs.ts';
import { cancelJob, pauseJob } from '../user-requests.ts';
import { sweepExpiredLeases } from './sweep-expired-leases.ts';

let services: Services;
let team: TestTeam;
before(async () => {
  services = await openTestServices();
  team = await createTestTeam(services);
});
after(async () => await services.close());

/** Without a grace period: Postgres has been up for longer than 0 s. */
const now = { leaseSeconds: 0 };
const by = { keyId: 'key-test' };

async function expire(job: Job): Promise<void> {
  await services.sql.query("UPDATE jobs SET lease_until = now() - interval '1 second' WHERE id = $1", [
    job.id,
  ]);
}

test('a job whose lease ran out waits again, and the worker that lost it is fenced', async () => {
  const [lost, held] = [
    await createTestJob(services, team, 'running'),
    await createTestJob(services, team, 'running'),
  ];
  await expire(lost);
  const swept = await sweepExpiredLeases(services, now);
  assert.deepEqual(
    swept.map((job) => job.id),
    [lost.id],
  );
  const [job] = swept as [Job];
  assert.deepEqual(
    [job.state, job.leaseEpoch, job.leaseUntil, job.attempts],
    ['queued', lost.leaseEpoch + 1, null, 1],
  );
  assert.equal(await heartbeatJob(services, leaseOf(lost), { leaseSeconds: 60 }), null);
  assert.deepEqual(await getJob(services, team.id, held.id), held);
  const { data } = await listEvents(services, team.id, lost.id, { limit: 1 });
  assert.deepEqual(
    [data[0]!.level, data[0]!.message],
    ['warn', `Worker ${lost.workerId} lost, job requeued`],
  );
  assert.deepEqual(await sweepExpiredLeases(services, now), []);
});

test('what a worker held that is known to be dead needs no lease to run out, nor the grace after an outage', async () => {
  const [lost, held] = [
    await createTestJob(services, team, 'running'),
    await createTestJob(services, team, 'running'),
  ];
  await services.sql.query("UPDATE jobs SET worker_id = 'dead' WHERE id = $1", [lost.id]);
  const century = { leaseSeconds: 100 * 365 * 86_400 };
  assert.deepEqual(await sweepExpiredLeases(services, { ...century, dead: ['other'] }), []);
  const swept = await sweepExpiredLeases(services, { ...century, dead: ['other', 'dead'] });
  assert.deepEqual(
    swept.map(({ id, state, leaseEpoch }) => [id, state, leaseEpoch]),
    [[lost.id, 'queued', lost.leaseEpoch + 1]],
  );
  assert.equal((await getJob(services, team.id, held.id))!.state, 'running');
});

test('the next claim reports how long the job was without a worker, and where it resumes', async () => {
  const job = await createTestJob(services, team, 'running');
  await services.sql.query(
    `UPDATE jobs SET last_checkpoint_step = 1240, lease_until = now() - interval '38 seconds',
       progress = '{"step": 1310, "totalSteps": 5000}' WHERE id = $1`,
    [job.id],
  );
  await services.sql.query(
    "UPDATE job_attempts SET started_at = now() - interval '1 hour' WHERE job_id = $1 AND kind = 'training'",
    [job.id],
  );
  await sweepExpiredLeases(services, now);
  const claimed = await claimJob(services, await dispatch(services, job.id), {
    workerId: 'w',
    leaseSeconds: 60,
  });
  assert.deepEqual(claimed!.progress!.step, 1240, 'progress goes back with it');
  const { data } = await listEvents(services, team.id, job.id, { limit: 1 });
  assert.equal(data[0]!.message, 'Worker worker-test lost, resumed from step 1,240 after 38 s');
  assert.deepEqual(data[0]!.data, { kind: 'recovery', worker: 'worker-test', step: 1240, seconds: 38 });
  const [, lost, next] = await listAttempts(services, team.id, job.id);
  assert.deepEqual([lost!.outcome, lost!.fromStep, lost!.lastStep], ['lost', 0, 1310]);
  assert.deepEqual([next!.workerId, next!.outcome, next!.fromStep], ['w', null, 1240]);
});

test('the third worker lost without a new checkpoint fails the job', async () => {
  const job = await createTestJob(services, team, 'running');
  for (let attempt = 1; attempt < 3; attempt++) {
    await expire(job);
    assert.equal((await sweepExpiredLeases(services, now))[0]!.state, 'queued');
    const lease = await dispatch(services, job.id);
    await claimJob(services, lease, { workerId: 'w', leaseSeconds: 60 });
  }
  await expire(job);
  const [failed] = await sweepExpiredLeases(services, now);
  assert.deepEqual(
    [failed!.state, failed!.error!.code, failed!.error!.fault],
    ['failed', 'worker_lost', 'system'],
  );
  assert.ok(failed!.finishedAt);
});

test('what was asked before the worker was lost is done', async () => {
  const cancelled = await createTestJob(services, team, 'running');
  await cancelJob(services, team.id, cancelled.id, by);
  const paused = await createTestJob(services, team, 'running');
  await pauseJob(services, team.id, paused.id, by);
  await expire(cancelled);
  await expire(paused);
  const swept = await sweepExpiredLeases(services, now);
  const states = new Map(swept.map((job) => [job.id, job.state]));
  assert.deepEqual([states.get(cancelled.id), states.get(paused.id)], ['cancelled', 'paused']);
  const topicsOf = async ({ id }: Job) => {
    const where = { payload: { path: ['id'], equals: id } };
    const rows = await services.db.outbox.findMany({ where, orderBy: { id: 'asc' } });
    return rows.map(({ topic }) => topic.replace('fine_tuning.job.', ''));
  };
  assert.deepEqual(await topicsOf(cancelled), ['running', 'cancelled']);
  assert.deepEqual(await topicsOf(paused), ['running', 'paused']);
});

test('after Postgres has started, workers have one lease to renew theirs', async () => {
  const job = await createTestJob(services, team, 'running');
  await expire(job);
  // Longer than any Postgres that runs tests has been up.
  assert.deepEqual(await sweepExpiredLeases(services, { leaseSeconds: 100 * 365 * 86_400 }), []);
  assert.equal((await sweepExpiredLeases(services, now)).length, 1);
});

test('sweepers at the same moment sweep a job once', async () => {
  const job = await createTestJob(services, team, 'running');
  await expire(job);
  const rounds = await Promise.all([1, 2, 3].map(() => sweepExpiredLeases(services, now)));
  assert.equal(rounds.flat().length, 1);
});

test('dispatched jobs that nobody claims are found again', async () => {
  const job = await createTestJob(services, team, 'dispatched');
  assert.deepEqual(await staleDispatched(services, { seconds: 15 }), []);
  await services.sql.query("UPDATE jobs SET dispatched_at = now() - interval '16 seconds' WHERE id = $1", [
    job.id,
  ]);
  const waiting = [{ id: job.id, epoch: job.leaseEpoch }];
  assert.deepEqual(await staleDispatched(services, { seconds: 15 }), waiting);
  await claimJob(services, leaseOf(job), { workerId: 'w', leaseSeconds: 60 });
  assert.deepEqual(await staleDispatched(services, { seconds: 15 }), []);
});
