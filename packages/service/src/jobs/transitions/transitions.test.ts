/** What each transition does to the row; that nobody else may do it stands in fencing.test.ts. */
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
import { type Job, type JobState, jobStates, type Lease, leaseOf } from '../job.ts';
import { heartbeatJob, readJobFlags } from '../leases/heartbeat-job.ts';
import { recordCheckpoint } from '../leases/record-checkpoint.ts';
import { listEvents } from '../records/read-job-history.ts';
import { getJob } from '../records/read-jobs.ts';
import { claimJob } from './claim-job.ts';
import { createJob } from './create-job.ts';
import { failJob } from './fail-job.ts';
import { publishAdapterVersion } from './publish-adapter-version.ts';
import { cancelRunningJob, pauseRunningJob, releaseJob } from './stop-running-job.ts';
import { cancelJob, pauseJob, resumeJob } from './user-requests.ts';
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

async function outboxOf(job: Job): Promise<string[]> {
  const rows = await services.db.outbox.findMany({ where: { payload: { path: ['id'], equals: job.id } } });
  return rows.map((row) => row.topic);
}

async function lastMessage(job: Job): Promise<string> {
  const { data } = await listEvents(services, team.id, job.id, { limit: 1 });
  return data[0]!.message;
}

/** Queued → dispatched → running once more. */
async function startAgain(job: Job): Promise<Lease> {
  const lease = await dispatch(services, job.id);
  assert.ok(await claimJob(services, lease, claim));
  return lease;
}

describe('validation', () => {
  test('one process at a time validates a job; when it dies another may after a while', async () => {
    const { job } = await createJob(services, team.id, newTestJob(team));
    const first = await claimValidation(services, job.id);
    assert.equal(first!.leaseEpoch, 1);
    assert.equal(await claimValidation(services, job.id), null);
    await services.sql.query("UPDATE jobs SET lease_until = now() - interval '1 second' WHERE id = $1", [
      job.id,
    ]);
    const second = await claimValidation(services);
    assert.deepEqual([second!.id, second!.leaseEpoch], [job.id, 2]);
    const outcome = { ok: true, resolvedTraining: { n_epochs: 2 } } as Parameters<typeof finishValidation>[2];
    assert.equal(await finishValidation(services, leaseOf(first!), outcome), null, 'the first is fenced');
    const queued = await finishValidation(services, leaseOf(second!), outcome);
    assert.deepEqual([queued!.state, queued!.resolvedTraining], ['queued', { n_epochs: 2 }]);
  });

  test('bad data fail the job with their reason', async () => {
    const { job } = await createJob(services, team.id, newTestJob(team));
    const claimed = await claimValidation(services, job.id);
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

test('heartbeat: the lease moves on, and tells what was asked', async () => {
  const job = await createTestJob(services, team, 'running');
  const lease = leaseOf(job);
  const flags = { cancelRequested: false, pauseRequested: false };
  assert.deepEqual(await heartbeatJob(services, lease, { leaseSeconds: 600 }), flags);
  assert.ok((await read(job.id)).leaseUntil!.getTime() - job.leaseUntil!.getTime() > 500_000);
  await pauseJob(services, team.id, job.id, by);
  assert.deepEqual(await readJobFlags(services, lease), { ...flags, pauseRequested: true });
  await cancelJob(services, team.id, job.id, by);
  assert.deepEqual(await heartbeatJob(services, lease, { leaseSeconds: 600 }), {
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
      {
        digest: testAdapter.digest,
        files: testAdapter.files,
        bytes: 2,
        lineage: testAdapter.lineage,
      },
    );
    assert.deepEqual([number, adapterName, peft.peft_type], [1, 'pub', 'LORA']);
    assert.deepEqual(await outboxOf(job), ['fine_tuning.job.succeeded']);
    assert.equal(await publishAdapterVersion(services, leaseOf(job), testAdapter), null, 'once');
    assert.equal((await listAdapterVersions(services, team.id, version!.adapterId)).length, 1);
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

  test('a new checkpoint starts the count anew, an old one does not', async () => {
    const job = await createTestJob(services, team, 'running');
    const checkpoint = { metrics: { trainLoss: 1.5 }, path: 'checkpoints/x', bytes: 10 };
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

describe('what a user may ask in which state', () => {
  const verbs = { cancel: cancelJob, pause: pauseJob, resume: resumeJob };
  const outcomes: Record<keyof typeof verbs, Partial<Record<JobState, JobState>>> = {
    cancel: {
      validating: 'cancelled',
      queued: 'cancelled',
      dispatched: 'cancelled',
      paused: 'cancelled',
      running: 'running',
    },
    pause: { queued: 'paused', dispatched: 'paused', running: 'running' },
    resume: { paused: 'queued' },
  };
  for (const verb of Object.keys(verbs) as (keyof typeof verbs)[]) {
    for (const state of jobStates) {
      const outcome = outcomes[verb][state];
      test(`${verb} ${state}: ${outcome ?? 'a 400'}`, async () => {
        const job = await createTestJob(services, team, state);
        if (outcome === undefined) {
          const expected = { code: 'invalid_job_state', fault: 'user' };
          await assert.rejects(verbs[verb](services, team.id, job.id, by), expected);
          assert.deepEqual(await read(job.id), job);
          return;
        }
        const after = (await verbs[verb](services, team.id, job.id, by))!;
        assert.equal(after.state, outcome);
        const asked = state === 'running';
        // Whoever held the old epoch is fenced; a running job keeps its worker until that has seen the request.
        assert.equal(after.leaseEpoch, job.leaseEpoch + (asked || verb === 'resume' ? 0 : 1));
        assert.equal(after.cancelRequestedAt !== null, asked && verb === 'cancel');
        assert.equal(after.pauseRequestedAt !== null, asked && verb === 'pause');
        assert.equal(after.finishedAt !== null, outcome === 'cancelled');
        assert.equal(
          await services.db.auditEntry.count({ where: { target: job.id, action: `job.${verb}` } }),
          1,
        );
      });
    }
  }

  test("another team's job is as unknown as one that never was", async () => {
    const other = await createTestTeam(services);
    const job = await createTestJob(services, team, 'running');
    for (const verb of Object.values(verbs)) {
      assert.equal(await verb(services, other.id, job.id, by), null);
      assert.equal(await verb(services, team.id, 'ftjob-nope', by), null);
    }
    assert.equal(await getJob(services, other.id, job.id), null);
    assert.deepEqual(await read(job.id), job);
  });

  test('asking twice is the same as once', async () => {
    const job = await createTestJob(services, team, 'running');
    const first = await cancelJob(services, team.id, job.id, by);
    const second = await cancelJob(services, team.id, job.id, by);
    assert.deepEqual(second!.cancelRequestedAt, first!.cancelRequestedAt);
  });

  test('a running job pauses once its worker has, with the attempt refunded, and resumes', async () => {
    const job = await createTestJob(services, team, 'running');
    await pauseJob(services, team.id, job.id, by);
    const paused = await pauseRunningJob(services, leaseOf(job));
    assert.deepEqual([paused!.state, paused!.attempts, paused!.pauseRequestedAt], ['paused', 0, null]);
    assert.equal((await resumeJob(services, team.id, job.id, by))!.state, 'queued');
    await startAgain(job);
  });

  test('a pause that has not happened yet can be taken back', async () => {
    const job = await createTestJob(services, team, 'running');
    await pauseJob(services, team.id, job.id, by);
    const resumed = await resumeJob(services, team.id, job.id, by);
    assert.deepEqual([resumed!.state, resumed!.pauseRequestedAt], ['running', null]);
    assert.equal(await pauseRunningJob(services, leaseOf(job)), null);
  });

  test('a cancel after a pause wins', async () => {
    const job = await createTestJob(services, team, 'running');
    await pauseJob(services, team.id, job.id, by);
    await cancelJob(services, team.id, job.id, by);
    assert.equal(await pauseRunningJob(services, leaseOf(job)), null);
    assert.equal((await cancelRunningJob(services, leaseOf(job)))!.state, 'cancelled');
  });
});

describe('the database itself', () => {
  for (const state of ['succeeded', 'failed', 'cancelled'] as const) {
    test(`raises on any change of a job that has ${state}`, async () => {
      const job = await createTestJob(services, team, state);
      for (const change of ["state = 'queued'", 'lease_epoch = lease_epoch + 1', "error = '{}'"]) {
        await assert.rejects(services.sql.query(`UPDATE jobs SET ${change} WHERE id = $1`, [job.id]), {
          code: 'GJ001',
        });
      }
      // An update that changes nothing is none.
      await services.sql.query('UPDATE jobs SET state = state WHERE id = $1', [job.id]);
    });
  }

  test('raises when a lease epoch falls, and refuses unknown states and a running job without a lease', async () => {
    const job = await createTestJob(services, team, 'dispatched');
    const set = (change: string) => services.sql.query(`UPDATE jobs SET ${change} WHERE id = $1`, [job.id]);
    await assert.rejects(set('lease_epoch = 0'), { code: 'GJ002' });
    await assert.rejects(set("state = 'nonsense'"), { constraint: 'jobs_state_check' });
    await assert.rejects(set("state = 'running'"), { constraint: 'jobs_running_lease_check' });
  });

  test('lets no row point into another team', async () => {
    const other = await createTestTeam(services);
    const job = await createTestJob(services, team, 'running');
    const insert = services.sql.query(
      "INSERT INTO job_metrics (team_id, job_id, kind, step, loss) VALUES ($1, $2, 'train', 1, 1)",
      [other.id, job.id],
    );
    await assert.rejects(insert, { code: '23503' });
  });

  test('takes one version per job', async () => {
    const job = await createTestJob(services, team, 'succeeded');
    await assert.rejects(
      services.sql.query(
        `INSERT INTO adapter_versions (id, team_id, adapter_id, number, job_id, model_name, digest, bytes, files, peft, lineage)
         SELECT 'adptver-x', team_id, adapter_id, 99, job_id, 'another', digest, bytes, files, peft, lineage
         FROM adapter_versions WHERE job_id = $1`,
        [job.id],
      ),
      { code: '23505' },
    );
  });
});
