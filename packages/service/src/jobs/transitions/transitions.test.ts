/** Effects of each transition on the row; fencing.test.ts checks that only the lease holder may do it. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { findFineTunedModel, getAdapter, listAdapterVersions } from '../../adapters/read-adapters.ts';
import type { Services } from '../../services.ts';
import {
  createTestJob,
  createTestTeam,
  dispatch,
  newTestJob,
  systemFault,
  type TestTeam,
  testAdapter,
  userFault,
} from '../../testing/job-fixtures.ts';
import { openTestServices } from '../../testing/open-test-services.ts';
import { type Job, type JobError, type Lease, leaseOf } from '../job.ts';
import { heartbeatJob, readJobFlags } from '../leases/heartbeat-job.ts';
import { recordCheckpoint } from '../leases/record-checkpoint.ts';
import { listEvents } from '../records/read-job-history.ts';
import { getJob } from '../records/read-jobs.ts';
import { claimJob } from './claim-job.ts';
import { createJob } from './create-job.ts';
import { failJob } from './fail-job.ts';
import { publishAdapterVersion } from './publish-adapter-version.ts';
import { returnLimit, returnLimitInAll } from './return-job.ts';
import { cancelRunningJob, releaseJob } from './stop-running-job.ts';
import { cancelJob, pauseJob } from './user-requests.ts';
import { claimValidation, finishValidation } from './validate-job.ts';

let services: Services;
let team: TestTeam;
let by: { keyId: string };
before(async () => {
  services = await openTestServices();
  team = await createTestTeam(services);
  by = { keyId: team.keyId };
});
after(async () => await services.close());

const read = async (id: string) => (await getJob(services, team.id, id))!;
const claim = { workerId: 'worker-1', leaseSeconds: 60 };
const validator = { workerId: 'validator-1', leaseSeconds: 60 };
/** Without a grace period: Postgres has been up for longer than 0 s. */
const successor = { workerId: 'validator-2', leaseSeconds: 0 };

async function outboxOf(job: Job): Promise<string[]> {
  const rows = await services.db.outbox.findMany({
    where: { payload: { path: ['id'], equals: job.id } },
    orderBy: { id: 'asc' },
  });
  const topics = rows.map((row) => row.topic);
  return topics.filter((topic) => topic !== 'fine_tuning.job.running' && topic !== 'fine_tuning.job.paused');
}

async function lastMessage(job: Job): Promise<string> {
  const { data } = await listEvents(services, team.id, job.id, { limit: 1 });
  return data[0]!.message;
}

/** Queued → dispatched → running once more. */
async function startAgain(job: Job): Promise<Lease> {
  return leaseOf((await claimJob(services, await dispatch(services, job.id), claim))!);
}

describe('validation', () => {
  test('one process at a time validates a job; when it dies another may after a while', async () => {
    const { job } = await createJob(services, team.id, newTestJob(team));
    const first = await claimValidation(services, { ...validator, id: job.id });
    assert.equal(first!.leaseEpoch, 1);
    assert.equal(await claimValidation(services, { ...validator, id: job.id }), null);
    await services.sql.query("UPDATE jobs SET lease_until = now() - interval '1 second' WHERE id = $1", [
      job.id,
    ]);
    const second = await claimValidation(services, successor);
    assert.deepEqual([second!.id, second!.leaseEpoch], [job.id, 3]);
    const outcome = { ok: true, resolvedTraining: { n_epochs: 2 } } as Parameters<typeof finishValidation>[2];
    assert.equal(await finishValidation(services, leaseOf(first!), outcome), null, 'the first is fenced');
    const queued = await finishValidation(services, leaseOf(second!), outcome);
    assert.deepEqual([queued!.state, queued!.resolvedTraining], ['queued', { n_epochs: 2 }]);
  });

  test('bad data fail the job with their reason', async () => {
    const { job } = await createJob(services, team.id, newTestJob(team));
    const claimed = await claimValidation(services, { ...validator, id: job.id });
    const failed = await finishValidation(services, leaseOf(claimed!), { ok: false, error: userFault });
    assert.deepEqual([failed!.state, failed!.error], ['failed', userFault]);
    assert.ok(failed!.finishedAt);
    assert.deepEqual(await outboxOf(failed!), ['fine_tuning.job.failed']);
    assert.equal(await lastMessage(failed!), userFault.message);
  });
});

test('claim: an attempt begins, with a lease', async () => {
  const job = await createTestJob(services, team, 'dispatched');
  const running = await claimJob(services, leaseOf(job), claim);
  assert.deepEqual(
    [
      running!.state,
      running!.attempts,
      running!.attemptsSinceCheckpoint,
      running!.workerId,
      running!.leaseEpoch,
    ],
    ['running', 1, 1, 'worker-1', job.leaseEpoch],
  );
  const seconds = (running!.leaseUntil!.getTime() - running!.startedAt!.getTime()) / 1000;
  assert.ok(Math.abs(seconds - 60) < 1, `${seconds}`);
  assert.equal(await claimJob(services, leaseOf(job), claim), null, 'a second ring claims nothing');
});

test('heartbeat: extends the lease, and returns what was requested', async () => {
  const job = await createTestJob(services, team, 'running');
  const lease = leaseOf(job);
  const flags = { cancelRequested: false, pauseRequested: false, preemptRequested: false };
  assert.deepEqual(await heartbeatJob(services, lease, { leaseSeconds: 600 }), flags);
  assert.ok((await read(job.id)).leaseUntil!.getTime() - job.leaseUntil!.getTime() > 500_000);
  await pauseJob(services, team.id, job.id, by);
  assert.deepEqual(await readJobFlags(services, lease), { ...flags, pauseRequested: true });
  await cancelJob(services, team.id, job.id, by);
  assert.deepEqual(await heartbeatJob(services, lease, { leaseSeconds: 600 }), {
    ...flags,
    cancelRequested: true,
    pauseRequested: true,
  });
});

describe('publication', () => {
  test('job, adapter, version, event and outbox row come together', async () => {
    const job = await createTestJob(services, team, 'running', { suffix: 'pub' });
    const published = await publishAdapterVersion(services, leaseOf(job), testAdapter);
    const name = `ft:smollm2-135m-instruct:${team.name}:pub:${job.id.slice(-8)}`;
    assert.deepEqual(
      [published!.job.state, published!.job.fineTunedModel, published!.job.trainedTokens],
      ['succeeded', name, 1234],
    );
    const version = await findFineTunedModel(services, team.id, name);
    assert.deepEqual(version, published!.version);
    const { number, digest, files, bytes, adapterName, peft, lineage } = version!;
    assert.deepEqual(
      { digest, files, bytes, lineage },
      { digest: testAdapter.digest, files: testAdapter.files, bytes: 2, lineage: testAdapter.lineage },
    );
    assert.deepEqual([number, adapterName, peft.peft_type], [1, 'pub', 'LORA']);
    assert.deepEqual(await outboxOf(job), ['fine_tuning.job.succeeded']);
    const again = await publishAdapterVersion(services, leaseOf(job), testAdapter);
    assert.deepEqual(again!.version, version, 'once');
    const { data } = await listAdapterVersions(services, team.id, version!.adapterId, { limit: 10 });
    assert.equal(data.length, 1);
  });

  test('a job of the same base and suffix adds a version; one without a suffix makes its own adapter', async () => {
    const versions = [];
    for (const suffix of ['again', 'again', null, null]) {
      const job = await createTestJob(services, team, 'running', { suffix });
      versions.push((await publishAdapterVersion(services, leaseOf(job), testAdapter))!.version);
    }
    assert.deepEqual(
      versions.map(({ number }) => number),
      [1, 2, 1, 1],
    );
    assert.equal(versions[0]!.adapterId, versions[1]!.adapterId);
    assert.notEqual(versions[2]!.adapterId, versions[3]!.adapterId);
    assert.equal((await getAdapter(services, team.id, versions[0]!.adapterId))!.latestVersion, 2);
  });

  test('jobs of one adapter that finish at the same moment get different numbers', async () => {
    const jobs = await Promise.all(
      [1, 2, 3, 4].map(() => createTestJob(services, team, 'running', { suffix: 'race' })),
    );
    const done = await Promise.all(
      jobs.map((job) => publishAdapterVersion(services, leaseOf(job), testAdapter)),
    );
    assert.deepEqual(done.map((each) => each!.version.number).sort(), [1, 2, 3, 4]);
  });

  test('a cancel that came first wins', async () => {
    const job = await createTestJob(services, team, 'running');
    await cancelJob(services, team.id, job.id, by);
    assert.equal(await publishAdapterVersion(services, leaseOf(job), testAdapter), null);
    assert.equal((await cancelRunningJob(services, leaseOf(job)))!.state, 'cancelled');
    assert.deepEqual(await outboxOf(job), ['fine_tuning.job.cancelled']);
  });
});

describe('release', () => {
  test('the job waits again and the attempt is refunded', async () => {
    const job = await createTestJob(services, team, 'running');
    const released = await releaseJob(services, leaseOf(job));
    assert.deepEqual(
      [
        released!.state,
        released!.attempts,
        released!.attemptsSinceCheckpoint,
        released!.leaseUntil,
        released!.workerId,
      ],
      ['queued', 0, 0, null, null],
    );
    const lease = await startAgain(job);
    assert.equal(lease.epoch, job.leaseEpoch + 1);
  });

  test('a lease that could not be renewed in time is forgiven so often, and then fails the job', async () => {
    const job = await createTestJob(services, team, 'running');
    const late = { reason: 'The worker could not renew its lease in time', isLate: true };
    let lease = leaseOf(job);
    for (let times = 1; times < returnLimit; times++) {
      const released = (await releaseJob(services, lease, late))!;
      assert.deepEqual([released.state, released.attempts, released.environmentFaults], ['queued', 0, times]);
      lease = await startAgain(job);
    }
    // A clean stop is not counted.
    assert.equal((await releaseJob(services, lease))!.environmentFaults, returnLimit - 1);
    lease = await startAgain(job);
    const failed = (await releaseJob(services, lease, late))!;
    assert.deepEqual([failed.state, failed.error?.code], ['failed', 'no_fit_worker']);
    assert.match(failed.error!.message, /could not renew its lease/);
  });

  test('a job that was asked to pause or cancel does that instead', async () => {
    const paused = await createTestJob(services, team, 'running');
    await pauseJob(services, team.id, paused.id, by);
    assert.equal((await releaseJob(services, leaseOf(paused)))!.state, 'paused');
    const cancelled = await createTestJob(services, team, 'running');
    await cancelJob(services, team.id, cancelled.id, by);
    const done = await releaseJob(services, leaseOf(cancelled));
    assert.equal(done!.state, 'cancelled');
    assert.ok(done!.finishedAt);
    assert.deepEqual(await outboxOf(cancelled), ['fine_tuning.job.cancelled']);
  });
});

describe('failure', () => {
  test('of the environment fails a job that workers released too often in all, whatever checkpoints it made', async () => {
    const fault: JobError = { ...systemFault, code: 'worker_unfit', fault: 'environment' };
    const earlier = async (job: Job, count: number) =>
      await services.sql.query(
        `INSERT INTO job_attempts (team_id, job_id, lease_epoch, kind, worker_id, from_step, ended_at, outcome)
         SELECT $1, $2, 1000 + n, 'training', 'worker-1', 0, now(), 'environment' FROM generate_series(1, $3) n`,
        [team.id, job.id, count],
      );
    const often = await createTestJob(services, team, 'running');
    await earlier(often, returnLimitInAll - 2);
    assert.equal((await failJob(services, leaseOf(often), fault))!.state, 'queued');
    const tooOften = await createTestJob(services, team, 'running');
    await earlier(tooOften, returnLimitInAll - 1);
    const failed = (await failJob(services, leaseOf(tooOften), fault))!;
    assert.deepEqual([failed.state, failed.error?.code], ['failed', 'no_fit_worker']);
    assert.match(failed.error!.message, /^Workers could not run the job 200 times in all\. The last error: /);
  });

  test("a user's fault is never retried", async () => {
    const job = await createTestJob(services, team, 'running');
    const failed = await failJob(services, leaseOf(job), userFault);
    assert.deepEqual([failed!.state, failed!.error], ['failed', userFault]);
    assert.deepEqual(await outboxOf(job), ['fine_tuning.job.failed']);
  });

  test('a broken base model is never tried again either', async () => {
    const job = await createTestJob(services, team, 'running');
    const fault = { ...systemFault, code: 'invalid_safetensors', param: 'model' };
    const failed = await failJob(services, leaseOf(job), fault);
    assert.deepEqual([failed!.state, failed!.attempts, failed!.error], ['failed', 1, fault]);
  });

  test('the third attempt lost without a new checkpoint fails the job', async () => {
    const job = await createTestJob(services, team, 'running');
    let lease = leaseOf(job);
    for (const pause of [1, 4]) {
      const queued = await failJob(services, lease, systemFault);
      assert.deepEqual([queued!.state, queued!.error, queued!.finishedAt], ['queued', null, null]);
      const { rows } = await services.sql.query<{ seconds: number }>(
        'SELECT extract(epoch FROM run_after - now())::float8 AS seconds FROM jobs WHERE id = $1',
        [job.id],
      );
      assert.ok(rows[0]!.seconds > pause - 1 && rows[0]!.seconds <= pause, `${rows[0]!.seconds}`);
      lease = await startAgain(job);
    }
    const failed = await failJob(services, lease, systemFault);
    assert.deepEqual([failed!.state, failed!.attempts, failed!.error], ['failed', 3, systemFault]);
  });

  test('a new checkpoint restarts the count, an old one does not', async () => {
    const job = await createTestJob(services, team, 'running');
    const checkpoint = {
      metrics: { trainLoss: 1.5 },
      path: 'checkpoints/x',
      bytes: 10,
      digest: 'd',
      seconds: 1,
      series: [],
    };
    let lease = leaseOf(job);
    for (const step of [5, 10, 15, 20]) {
      assert.equal((await recordCheckpoint(services, lease, { ...checkpoint, step }))!.step, step);
      assert.equal((await failJob(services, lease, systemFault))!.state, 'queued');
      lease = await startAgain(job);
    }
    const { lastCheckpointStep, attemptsSinceCheckpoint } = await read(job.id);
    assert.deepEqual([lastCheckpointStep, attemptsSinceCheckpoint], [20, 2]);
    await recordCheckpoint(services, lease, { ...checkpoint, step: 20 });
    await failJob(services, lease, systemFault);
    lease = await startAgain(job);
    await recordCheckpoint(services, lease, { ...checkpoint, step: 10 });
    assert.equal((await failJob(services, lease, systemFault))!.state, 'failed');
  });

  test('a job that was asked to cancel is cancelled, not retried', async () => {
    const job = await createTestJob(services, team, 'running');
    await cancelJob(services, team.id, job.id, by);
    const done = await failJob(services, leaseOf(job), systemFault);
    assert.deepEqual([done!.state, done!.error], ['cancelled', null]);
    assert.deepEqual(await outboxOf(job), ['fine_tuning.job.cancelled']);
  });
});
