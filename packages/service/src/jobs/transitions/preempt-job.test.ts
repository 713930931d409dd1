import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import type { Services } from '../../services.ts';
import { updateTeam } from '../../teams/team-records.ts';
import { createTestJob, createTestTeam, type TestTeam } from '../../testing/job-fixtures.ts';
import { openTestServices } from '../../testing/open-test-services.ts';
import { registerWorker } from '../../workers/worker-registry.ts';
import { type Job, leaseOf } from '../job.ts';
import { heartbeatJob } from '../leases/heartbeat-job.ts';
import { getJob } from '../records/read-jobs.ts';
import { claimJob } from './claim-job.ts';
import { dispatchJobs, firstDispatched } from './dispatch-jobs.ts';
import { preemptForStarved } from './preempt-job.ts';
import { releaseJob } from './stop-running-job.ts';
import { pauseJob } from './user-requests.ts';

let services: Services;
beforeEach(async () => {
  services ??= await openTestServices();
  await services.sql.query('DELETE FROM teams');
  await services.sql.query('DELETE FROM workers');
});
after(async () => await services?.close());

const worker = { id: 'w1', capabilities: null };
const ten = { seconds: 600 };

async function addWorker(slots: number): Promise<void> {
  await registerWorker(services, { id: 'w1', address: null, hostname: 'here', pid: 1, slots });
}

async function claimNext(): Promise<Job> {
  await dispatchJobs(services);
  const lease = await firstDispatched(services, worker);
  return (await claimJob(services, lease!, { workerId: 'w1', leaseSeconds: 600 }))!;
}

/** Moves all waiting and running times back by this many minutes. */
async function letPass(minutes: number): Promise<void> {
  await services.sql.query("UPDATE job_attempts SET started_at = started_at - $1 * interval '1 minute'", [
    minutes,
  ]);
  await services.sql.query(
    "UPDATE jobs SET run_after = run_after - $1 * interval '1 minute' WHERE finished_at IS NULL",
    [minutes],
  );
}

/** One slot, held by a team that has another job dispatched; the other team waits. */
async function starve(): Promise<{ holder: TestTeam; starved: TestTeam; held: Job; waits: Job }> {
  const [holder, starved] = [await createTestTeam(services), await createTestTeam(services)];
  await createTestJob(services, holder, 'queued');
  await createTestJob(services, holder, 'queued');
  await addWorker(1);
  const held = await claimNext();
  return { holder, starved, held, waits: await createTestJob(services, starved, 'queued') };
}

test('a long job is preempted for a team that waited, which is next, and costs no attempt', async () => {
  const { holder, held, waits } = await starve();
  assert.equal(await preemptForStarved(services, ten), null, 'it has not waited yet');
  await letPass(11);
  const asked = await preemptForStarved(services, ten);
  assert.equal(asked?.id, held.id);
  assert.equal(await preemptForStarved(services, ten), null, 'one at a time');
  const flags = await heartbeatJob(services, leaseOf(held), { leaseSeconds: 600 });
  assert.deepEqual(flags, { cancelRequested: false, pauseRequested: false, preemptRequested: true });
  await dispatchJobs(services);
  const released = await releaseJob(services, leaseOf(held), { reason: 'Preempted at a checkpoint' });
  assert.deepEqual([released!.state, released!.attempts, released!.preemptRequestedAt], ['queued', 0, null]);
  const events = await services.db.jobEvent.findMany({
    where: { jobId: held.id },
    orderBy: { seq: 'desc' },
    take: 2,
  });
  assert.equal(events[0]!.message, 'Preempted at a checkpoint, job requeued');
  assert.match(
    events[1]!.message,
    /^Preempting at the next checkpoint: another team has waited for 11 min without a slot\./,
  );
  assert.equal((await claimNext()).id, waits.id);
  assert.equal((await getJob(services, holder.id, held.id))!.state, 'dispatched', 'right behind it');
});

test('no job is preempted where a slot is free, for a team with a running job, or before it ran as long', async () => {
  const { starved, held } = await starve();
  await letPass(11);
  await addWorker(2);
  assert.equal(await preemptForStarved(services, ten), null, 'a slot is free');
  await claimNext();
  await createTestJob(services, starved, 'queued');
  await letPass(11);
  const running = await services.db.job.findMany({ where: { state: 'running' }, select: { teamId: true } });
  assert.equal(new Set(running.map(({ teamId }) => teamId)).size, 2);
  assert.equal(await preemptForStarved(services, ten), null, 'both have one');
  assert.equal((await getJob(services, held.teamId, held.id))!.preemptRequestedAt, null);
});

test('no job is preempted for one that could not run there, or while it is pausing', async () => {
  const { holder, starved, held, waits } = await starve();
  await letPass(11);
  await services.sql.query(
    `UPDATE workers SET capabilities = '{"device":"cpu","threads":2,"precisions":["fp32"]}'`,
  );
  const onGpu = '{"device":"gpu","threads":1,"precision":"fp32"}';
  await services.sql.query('UPDATE jobs SET requirements = $2::jsonb WHERE id = $1', [waits.id, onGpu]);
  assert.equal(await preemptForStarved(services, ten), null);
  await services.sql.query('UPDATE jobs SET requirements = NULL WHERE id = $1', [waits.id]);
  await pauseJob(services, holder.id, held.id, { keyId: 'key-test' });
  assert.equal(await preemptForStarved(services, ten), null);
  await services.sql.query('UPDATE jobs SET pause_requested_at = NULL WHERE id = $1', [held.id]);
  await services.sql.query('UPDATE teams SET running_limit = 0 WHERE id = $1', [starved.id]);
  assert.equal(await preemptForStarved(services, ten), null, 'a team that may run none');
  await updateTeam(services, starved.id, { runningLimit: 1 });
  assert.equal((await preemptForStarved(services, ten))?.id, held.id);
});
