/** Requests, workers and sweepers act at the same moment: one of them ends the job. RACE_ROUNDS: rounds of each race. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Services } from '../../services.ts';
import { createTestJob, createTestTeam, type TestTeam, testAdapter } from '../../testing/job-fixtures.ts';
import { openTestServices } from '../../testing/open-test-services.ts';
import { isTerminal, type Job, leaseOf } from '../job.ts';
import { heartbeatJob } from '../leases/heartbeat-job.ts';
import { getJob } from '../records/read-jobs.ts';
import { sweepExpiredLeases } from '../transitions/expiry/sweep-expired-leases.ts';
import { publishAdapterVersion } from '../transitions/publish-adapter-version.ts';
import { cancelRunningJob, pauseRunningJob, releaseJob } from '../transitions/stop-running-job.ts';
import { cancelJob, pauseJob } from '../transitions/user-requests.ts';

const rounds = Number(process.env.RACE_ROUNDS ?? 6);

let services: Services;
let team: TestTeam;
before(async () => {
  services = await openTestServices();
  team = await createTestTeam(services);
});
after(async () => await services.close());

const by = { keyId: 'key-test' };
/** Outbox topics of a job that continues. */
const unended = ['fine_tuning.job.running', 'fine_tuning.job.paused'];

/** Sends a user's request for a job that may have ended. */
async function ask(request: typeof cancelJob, job: Job): Promise<void> {
  await request(services, team.id, job.id, by).catch((error: { code?: string }) => {
    if (error.code !== 'invalid_job_state') throw error;
  });
}

/** Acts like a worker whose trainer has finished. */
async function complete(job: Job): Promise<void> {
  const lease = leaseOf(job);
  if (await publishAdapterVersion(services, lease, testAdapter)) return;
  const asked = await heartbeatJob(services, lease, { leaseSeconds: 60 });
  if (asked?.cancelRequested) await cancelRunningJob(services, lease);
}

/** Acts like a worker that is asked to stop. */
async function stop(job: Job): Promise<void> {
  const lease = leaseOf(job);
  (await pauseRunningJob(services, lease)) ?? (await releaseJob(services, lease));
}

/** Acts as if the worker was lost. */
async function sweep(job: Job): Promise<void> {
  await services.sql.query(
    "UPDATE jobs SET lease_until = now() - interval '1 s' WHERE id = $1 AND state = 'running'",
    [job.id],
  );
  await sweepExpiredLeases(services, { leaseSeconds: 0 });
}

const races: Record<string, { actors: ((job: Job) => Promise<void>)[]; ends: boolean }> = {
  'cancel and complete': { actors: [(job) => ask(cancelJob, job), complete], ends: true },
  'pause and complete': { actors: [(job) => ask(pauseJob, job), complete], ends: true },
  'cancel, pause and complete': {
    actors: [(job) => ask(cancelJob, job), (job) => ask(pauseJob, job), complete],
    ends: true,
  },
  'complete twice': { actors: [complete, complete], ends: true },
  'complete and the sweeper': { actors: [complete, sweep], ends: false },
  'cancel, the sweeper and a worker that stops': {
    actors: [(job) => ask(cancelJob, job), sweep, stop],
    ends: false,
  },
};

describe('one outcome', () => {
  for (const [name, { actors, ends }] of Object.entries(races)) {
    test(name, async () => {
      for (let round = 0; round < rounds; round++) {
        const job = await createTestJob(services, team, 'running');
        await Promise.all(
          actors.map(async (act) => {
            await sleep(Math.random() * 4);
            await act(job);
          }),
        );
        const first = (await getJob(services, team.id, job.id))!;
        if (ends) assert.ok(isTerminal(first.state), first.state);
        // Requests that are too late change nothing; a job that has not ended can still be ended.
        await ask(cancelJob, first);
        await complete(job);
        const last = (await getJob(services, team.id, job.id))!;
        assert.ok(isTerminal(last.state), last.state);
        if (isTerminal(first.state)) assert.deepEqual(last, first);
        const { db } = services;
        const versions = await db.adapterVersion.count({ where: { jobId: job.id } });
        assert.equal(versions, last.state === 'succeeded' ? 1 : 0);
        const outboxRows = await db.outbox.findMany({
          where: { payload: { path: ['id'], equals: job.id }, topic: { notIn: unended } },
        });
        assert.deepEqual(
          outboxRows.map(({ topic }) => topic),
          [`fine_tuning.job.${last.state}`],
        );
        assert.equal(await db.jobAttempt.count({ where: { jobId: job.id, endedAt: null } }), 0);
      }
    });
  }
});
