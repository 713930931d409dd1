import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Services } from '../../services.ts';
import { createTestJob, createTestTeam, dispatch, type TestTeam } from '../../testing/job-fixtures.ts';
import { openTestServices } from '../../testing/open-test-services.ts';
import { type JobState, jobStates, leaseOf } from '../job.ts';
import { getJob } from '../records/read-jobs.ts';
import { claimJob } from './claim-job.ts';
import { cancelRunningJob, pauseRunningJob } from './stop-running-job.ts';
import { cancelJob, pauseJob, resumeJob } from './user-requests.ts';

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
        // The holder of the old epoch is fenced; a running job keeps its worker until the worker has seen the request.
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
    const lease = await dispatch(services, job.id);
    assert.ok(await claimJob(services, lease, { workerId: 'worker-1', leaseSeconds: 60 }));
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
