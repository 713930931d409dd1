import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import type { Services } from '../../services.ts';
import { createTestJob, createTestTeam, type TestTeam } from '../../testing/job-fixtures.ts';
import { openTestServices } from '../../testing/open-test-services.ts';
import { type Job, leaseOf } from '../job.ts';
import { listAttempts, listEvents } from '../records/read-job-history.ts';
import { getJob } from '../records/read-jobs.ts';
import { sweepExpiredLeases } from './expiry/sweep-expired-leases.ts';
import { cancelJob } from './user-requests.ts';
import {
  breakValidation,
  claimValidation,
  finishValidation,
  heartbeatValidation,
  releaseValidation,
  returnValidation,
} from './validate-job.ts';

let services: Services;
beforeEach(async () => {
  services ??= await openTestServices();
  await services.sql.query('DELETE FROM teams');
});
after(async () => await services.close());

const first = { workerId: 'v-1', leaseSeconds: 60 };
/** Without a grace period: Postgres has been up for longer than 0 s. */
const successor = { workerId: 'v-2', leaseSeconds: 0 };

const read = async (job: Job) => (await getJob(services, job.teamId, job.id))!;

async function queue(team: TestTeam, count: number): Promise<Job[]> {
  const jobs = [];
  for (let i = 0; i < count; i++) jobs.push(await createTestJob(services, team, 'validating'));
  return jobs;
}

/** Acts as if the process that holds the job died `seconds` ago. */
async function expire(job: Job, seconds = 1): Promise<void> {
  await services.sql.query(
    'UPDATE jobs SET lease_until = now() - make_interval(secs => $2) WHERE id = $1 AND lease_until IS NOT NULL',
    [job.id, seconds],
  );
}

const outcomesOf = async (job: Job) =>
  (await listAttempts(services, job.teamId, job.id)).map(({ workerId, outcome }) => [workerId, outcome]);

test('teams take turns, each with its oldest job', async () => {
  const [one, two] = [await createTestTeam(services), await createTestTeam(services)];
  const [a, b] = [await queue(one, 3), await queue(two, 1)];
  const order = [];
  for (let i = 0; i < 4; i++) order.push((await claimValidation(services, first))!.id);
  assert.deepEqual(order, [a[0]!.id, b[0]!.id, a[1]!.id, a[2]!.id]);
  assert.equal(await claimValidation(services, first), null);
});

test('a place that is kept for idle teams takes no second job of a team', async () => {
  const [one, two] = [await createTestTeam(services), await createTestTeam(services)];
  const [a, b] = [await queue(one, 2), await queue(two, 1)];
  const kept = { ...first, onlyIdleTeams: true };
  assert.equal((await claimValidation(services, kept))?.id, a[0]!.id);
  assert.equal((await claimValidation(services, kept))?.id, b[0]!.id);
  assert.equal(await claimValidation(services, kept), null);
  assert.equal((await claimValidation(services, first))?.id, a[1]!.id);
});

test('a validation that breaks is tried again at once, and fails with the reason at the third time', async () => {
  const [job] = await queue(await createTestTeam(services), 1);
  const broken = { reason: 'It ran out of memory.', leaseSeconds: 60 };
  for (let i = 0; i < 3; i++) {
    const claimed = (await claimValidation(services, first))!;
    assert.equal(claimed.id, job!.id);
    await breakValidation(services, leaseOf(claimed), broken);
    assert.equal(await breakValidation(services, leaseOf(claimed), broken), null);
  }
  const { state, error } = await read(job!);
  assert.deepEqual([state, error?.code, error?.fault], ['failed', 'validator_lost', 'system']);
  assert.match(error!.message, /broke 3 times without getting any further\. It ran out of memory\./);
  assert.deepEqual(await outcomesOf(job!), Array(3).fill(['v-1', 'lost']));
});

test('a validation that runs out of time is tried once more, however far it got', async () => {
  const [job] = await queue(await createTestTeam(services), 1);
  const late = { reason: 'It took too long.', leaseSeconds: 60, isTimeout: true };
  for (let i = 1; i <= 2; i++) {
    const lease = leaseOf((await claimValidation(services, first))!);
    // Progress resets the count of attempts.
    const progress = { bytes: 100 * i, totalBytes: 1000, examples: i };
    assert.ok(await heartbeatValidation(services, lease, { leaseSeconds: 60, progress }));
    await breakValidation(services, lease, late);
    assert.equal((await read(job!)).state, i === 1 ? 'validating' : 'failed');
  }
  const { error } = await read(job!);
  assert.deepEqual([error?.code, error?.fault], ['validator_lost', 'system']);
});

test('processes that claim at the same moment get different jobs', async () => {
  await queue(await createTestTeam(services), 6);
  const claimed = await Promise.all(Array.from({ length: 8 }, () => claimValidation(services, first)));
  const ids = claimed.flatMap((job) => job?.id ?? []);
  assert.deepEqual([ids.length, new Set(ids).size], [6, 6]);
});

test('a heartbeat renews the lease and shows progress; a cancel ends it at once', async () => {
  const team = await createTestTeam(services);
  const [job] = await queue(team, 1);
  const lease = leaseOf((await claimValidation(services, { ...first, leaseSeconds: 1 }))!);
  const progress = { bytes: 500, totalBytes: 1000, examples: 7 };
  assert.deepEqual(await heartbeatValidation(services, lease, { leaseSeconds: 600, progress }), lease);
  const renewed = await read(job!);
  assert.deepEqual(renewed.validationProgress, { ...progress, furthestBytes: 500 });
  assert.ok(renewed.leaseUntil!.getTime() - renewed.createdAt.getTime() > 500_000);
  await cancelJob(services, team.id, job!.id, { keyId: 'key-test' });
  assert.equal(await heartbeatValidation(services, lease, { leaseSeconds: 600, progress }), null);
  assert.equal(await finishValidation(services, lease, { ok: true, resolvedTraining: {} as never }), null);
  assert.deepEqual(await outcomesOf(job!), [['v-1', 'cancelled']]);
});

test('a process that dies is followed by another, after the third at growing distances, and the eighth loss without progress fails the job', async () => {
  const team = await createTestTeam(services);
  const [job] = await queue(team, 1);
  const lost = (await claimValidation(services, first))!;
  await expire(lost, 3);
  const again = (await claimValidation(services, successor))!;
  assert.deepEqual([again.leaseEpoch, again.validationAttempts], [lost.leaseEpoch + 2, 2]);
  assert.equal(await heartbeatValidation(services, leaseOf(lost), first), null, 'fenced');
  const { data } = await listEvents(services, team.id, job!.id, { limit: 1 });
  assert.match(data[0]!.message, /^Worker v-1 lost, validation restarted after \d+ s$/);
  assert.equal(data[0]!.data!.kind, 'recovery');
  await expire(again);
  const [swept] = await sweepExpiredLeases(services, { leaseSeconds: 0 });
  assert.deepEqual([swept!.id, swept!.state, swept!.leaseUntil], [job!.id, 'validating', null]);
  for (const seconds of [15, 60, 120, 300, 600]) {
    await expire((await claimValidation(services, successor))!);
    assert.equal(await claimValidation(services, successor), null, 'the next claim finds it postponed');
    const { state, runAfter } = await read(job!);
    assert.equal(state, 'validating');
    const { rows } = await services.sql.query<{ wait: number }>(
      'SELECT extract(epoch FROM $1::timestamptz - now())::float8 AS wait',
      [runAfter],
    );
    assert.ok(rows[0]!.wait > seconds - 15 && rows[0]!.wait <= seconds, `${rows[0]!.wait} of ${seconds} s`);
    const { data } = await listEvents(services, team.id, job!.id, { limit: 1 });
    assert.match(
      data[0]!.message,
      new RegExp(`lost while it validated the files, trying again in ${seconds} s`),
    );
    await services.sql.query('UPDATE jobs SET run_after = now() WHERE id = $1', [job!.id]);
  }
  await expire((await claimValidation(services, successor))!);
  assert.equal(await claimValidation(services, successor), null, 'the next claim finds it failed');
  const failed = await read(job!);
  assert.deepEqual([failed.state, failed.error!.code], ['failed', 'validator_lost']);
  assert.deepEqual(await outcomesOf(job!), [['v-1', 'lost'], ...Array(7).fill(['v-2', 'lost'])]);
});

test('one that gets further than every earlier one restarts the count', async () => {
  const [job] = await queue(await createTestTeam(services), 1);
  for (const [bytes, attempts] of [
    [10, 1],
    [10, 2],
    [20, 1],
    [20, 2],
  ] as const) {
    const claimed = (await claimValidation(services, successor))!;
    const progress = { bytes, totalBytes: 100, examples: 1 };
    await heartbeatValidation(services, leaseOf(claimed), { leaseSeconds: 60, progress });
    assert.equal((await read(job!)).validationAttempts, attempts);
    await expire(claimed);
  }
});

test('a process that stops hands the validation on, and the attempt does not count', async () => {
  const [job] = await queue(await createTestTeam(services), 1);
  for (let i = 0; i < 4; i++) {
    const claimed = (await claimValidation(services, first))!;
    const released = (await releaseValidation(services, leaseOf(claimed)))!;
    assert.deepEqual(
      [released.state, released.validationAttempts, released.workerId],
      ['validating', 0, null],
    );
    assert.equal(await heartbeatValidation(services, leaseOf(claimed), first), null, 'and is fenced');
  }
  assert.deepEqual((await outcomesOf(job!)).at(-1), ['v-1', 'released']);
});

test('one that no process can do now waits for minutes, and fails after twenty times', async () => {
  const [job] = await queue(await createTestTeam(services), 1);
  const error = {
    code: 'base_model_unavailable',
    message: 'It is unavailable.',
    param: 'model',
    fault: 'environment',
  } as const;
  for (let times = 1; times <= 20; times++) {
    const lease = leaseOf((await claimValidation(services, first))!);
    const after = (await returnValidation(services, lease, error))!;
    assert.deepEqual(
      [after.state, after.validationAttempts],
      [times < 20 ? 'validating' : 'failed', times < 20 ? 0 : 1],
    );
    assert.equal(await claimValidation(services, first), null, 'not yet');
    if (times < 20) await services.sql.query('UPDATE jobs SET run_after = now() WHERE id = $1', [job!.id]);
  }
  assert.deepEqual((await read(job!)).error, error);
  assert.deepEqual((await outcomesOf(job!)).at(-1), ['v-1', 'environment']);
});
