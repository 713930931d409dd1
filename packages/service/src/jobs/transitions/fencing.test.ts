/** Every write of a worker, in every state, with every kind of lease: only the write of the holder changes anything. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { leaseFolder } from '@graft/peft-core/checkpoints';
import type { Services } from '../../services.ts';
import {
  createTestJob,
  createTestTeam,
  systemFault,
  type TestTeam,
  testAdapter,
} from '../../testing/job-fixtures.ts';
import { keepJobRows } from '../../testing/keep-job-rows.ts';
import { openTestServices } from '../../testing/open-test-services.ts';
import { type Job, type JobState, jobStates, type Lease, leaseOf } from '../job.ts';
import { heartbeatJob, readJobFlags } from '../leases/heartbeat-job.ts';
import { recordKnownRate, recordMetrics, recordProgress } from '../leases/job-metrics.ts';
import {
  markCheckpointsDeleted,
  recordCheckpoint,
  resumeFromCheckpoint,
} from '../leases/record-checkpoint.ts';
import { appendEvent, appendEventOnce } from '../leases/write-under-lease.ts';
import { newLeaseToken } from './change-job.ts';
import { claimJob } from './claim-job.ts';
import { failJob } from './fail-job.ts';
import { publishAdapterVersion } from './publish-adapter-version.ts';
import { returnJob } from './return-job.ts';
import { cancelRunningJob, pauseRunningJob, releaseJob } from './stop-running-job.ts';
import { cancelJob, pauseJob } from './user-requests.ts';
import {
  claimValidation,
  finishValidation,
  heartbeatValidation,
  releaseValidation,
  returnValidation,
} from './validate-job.ts';

let services: Services;
let team: TestTeam;
before(async () => {
  services = await openTestServices();
  team = await createTestTeam(services);
});
after(async () => await services.close());

const metric = {
  kind: 'train',
  step: 1,
  epoch: 0.1,
  loss: 2,
  tokens: 64,
  metrics: { token_accuracy: 0.5, learning_rate: 1e-4, grad_norm: 1, tokens_per_second: 10 },
} as const;
const progress = { step: 1, totalSteps: 2, epoch: 0.5, tokens: 64, tokensPerSecond: 10, secondsRemaining: 1 };

interface Write {
  run(lease: Lease): Promise<unknown>;
  /** States in which the holder of the lease may write. */
  legal: JobState[];
  again?: JobState[];
  /** Requested of a running job before the write. */
  ask?: 'cancel' | 'pause';
}

const writes: Record<string, Write> = {
  finishValidation: {
    run: (lease) => finishValidation(services, lease, { ok: false, error: systemFault }),
    legal: ['validating'],
  },
  heartbeatValidation: {
    run: (lease) => heartbeatValidation(services, lease, { leaseSeconds: 60 }),
    legal: ['validating'],
  },
  releaseValidation: { run: (lease) => releaseValidation(services, lease), legal: ['validating'] },
  returnValidation: { run: (lease) => returnValidation(services, lease, systemFault), legal: ['validating'] },
  claimJob: {
    run: (lease) => claimJob(services, lease, { workerId: 'w', leaseSeconds: 5 }),
    legal: ['dispatched'],
  },
  heartbeatJob: { run: (lease) => heartbeatJob(services, lease, { leaseSeconds: 5 }), legal: ['running'] },
  readJobFlags: { run: (lease) => readJobFlags(services, lease), legal: ['running'] },
  recordKnownRate: { run: (lease) => recordKnownRate(services, lease), legal: ['running'] },
  recordProgress: { run: (lease) => recordProgress(services, lease, progress), legal: ['running'] },
  recordMetrics: { run: (lease) => recordMetrics(services, lease, [metric]), legal: ['running'] },
  recordCheckpoint: {
    run: (lease) =>
      recordCheckpoint(services, lease, {
        step: 1,
        metrics: {},
        path: 'p',
        bytes: 1,
        digest: 'd',
        seconds: 1,
        series: [metric],
      }),
    legal: ['running'],
  },
  markCheckpointsDeleted: {
    run: (lease) => markCheckpointsDeleted(services, lease, [1]),
    legal: ['running'],
  },
  resumeFromCheckpoint: {
    run: (lease) => resumeFromCheckpoint(services, lease, 1, () => [metric]),
    legal: ['running'],
  },
  publishAdapterVersion: {
    run: (lease) => publishAdapterVersion(services, lease, testAdapter),
    legal: ['running'],
    // Repeated under the lease that published, it returns what was published.
    again: ['succeeded'],
  },
  releaseJob: { run: (lease) => releaseJob(services, lease), legal: ['running'] },
  returnJob: {
    run: (lease) => returnJob(services, lease, { workerId: 'w', reason: 'no disk' }),
    legal: ['running'],
  },
  failJob: { run: (lease) => failJob(services, lease, systemFault), legal: ['running'] },
  pauseRunningJob: { run: (lease) => pauseRunningJob(services, lease), legal: ['running'], ask: 'pause' },
  cancelRunningJob: { run: (lease) => cancelRunningJob(services, lease), legal: ['running'], ask: 'cancel' },
  appendEvent: {
    run: (lease) => appendEvent(services, lease, { message: 'hello' }),
    legal: ['validating', 'running'],
  },
  appendEventOnce: {
    run: (lease) => appendEventOnce(services, lease, 'greeting', { message: 'hello' }),
    legal: ['validating', 'running'],
  },
};

/** Returns everything that a write could have changed. */
async function snapshot(jobId: string): Promise<unknown> {
  const { rows } = await services.sql.query(
    `SELECT (SELECT to_jsonb(j) FROM jobs j WHERE id = $1) AS job,
       (SELECT count(*) FROM job_events WHERE job_id = $1) AS events,
       (SELECT count(*) FROM job_metrics WHERE job_id = $1) AS metrics,
       (SELECT count(*) FROM checkpoints WHERE job_id = $1) AS checkpoints,
       (SELECT count(*) FROM adapter_versions WHERE job_id = $1) AS versions,
       (SELECT jsonb_agg(a) FROM job_attempts a WHERE job_id = $1) AS attempts,
       (SELECT count(*) FROM outbox) AS outbox`,
    [jobId],
  );
  return rows[0];
}

/** Creates a job in this state, claimed if the state requires a lease. */
async function jobUnderLease(state: JobState): Promise<Job> {
  const job = await createTestJob(services, team, state);
  const claim = { workerId: 'v', leaseSeconds: 60, id: job.id };
  return state === 'validating' ? (await claimValidation(services, claim))! : job;
}

for (const [name, { run, legal, ask, again }] of Object.entries(writes)) {
  describe(name, () => {
    for (const state of jobStates) {
      const isLegal = legal.includes(state);
      test(`${state}: ${isLegal ? 'only with the right epoch and token' : 'never'}`, async () => {
        const job = await jobUnderLease(state);
        const lease = leaseOf(job);
        if (isLegal && ask === 'cancel') await cancelJob(services, team.id, job.id, { keyId: 'key-test' });
        if (isLegal && ask === 'pause') await pauseJob(services, team.id, job.id, { keyId: 'key-test' });
        const before = await snapshot(job.id);
        const stale = [
          { ...lease, epoch: lease.epoch - 1 },
          { ...lease, epoch: lease.epoch + 1 },
          // A claim needs no token: it draws one.
          ...(name === 'claimJob' ? [] : [{ ...lease, token: newLeaseToken() }]),
          ...(name === 'claimJob' || lease.token === null ? [] : [{ ...lease, token: null }]),
        ];
        const isAgain = again?.includes(state) ?? false;
        if (isAgain) assert.ok(await run(lease), 'written before');
        for (const fenced of isLegal || isAgain ? stale : [...stale, lease]) {
          assert.ok(!(await run(fenced)), 'null or false');
          assert.deepEqual(await snapshot(job.id), before);
        }
        if (isLegal) assert.ok(await run(lease));
      });
    }
  });
}

describe('a claim that a failover lost, and the one after it', () => {
  const claims = {
    validating: async ({ id }: Job, workerId: string) =>
      await claimValidation(services, { workerId, leaseSeconds: 60, id }),
    dispatched: async (job: Job, workerId: string) =>
      await claimJob(services, leaseOf(job), { workerId, leaseSeconds: 60 }),
  };
  for (const from of ['validating', 'dispatched'] as const) {
    const state = from === 'dispatched' ? 'running' : from;
    for (const [name, { run, ask }] of Object.entries(writes).filter(([, { legal }]) =>
      legal.includes(state),
    ))
      test(`${state}, ${name}: of one epoch, and only the second writes`, async () => {
        const job = await createTestJob(services, team, from);
        const standby = await keepJobRows(services, job.id);
        const first = leaseOf((await claims[from](job, 'first'))!);
        await standby.failOver();
        const second = leaseOf((await claims[from](job, 'second'))!);
        assert.equal(first.epoch, second.epoch);
        if (ask === 'cancel') await cancelJob(services, team.id, job.id, { keyId: 'key-test' });
        if (ask === 'pause') await pauseJob(services, team.id, job.id, { keyId: 'key-test' });
        const before = await snapshot(job.id);
        assert.ok(!(await run(first)), 'the first is fenced');
        assert.deepEqual(await snapshot(job.id), before);
        assert.ok(await run(second));
      });
  }

  test('nothing that they stage or store has one name', async () => {
    const job = await createTestJob(services, team, 'dispatched');
    const standby = await keepJobRows(services, job.id);
    const first = (await claims.dispatched(job, 'first'))!;
    await standby.failOver();
    const second = (await claims.dispatched(job, 'second'))!;
    const artifacts: string[] = [];
    const staged: string[] = [];
    for (const { id, leaseEpoch, leaseToken } of [first, second])
      staged.push(await services.artifacts.stage(id, leaseEpoch, leaseToken));
    for (const folder of staged) await writeFile(path.join(folder, 'adapter_config.json'), '{}');
    for (const folder of staged) artifacts.push((await services.artifacts.publish(folder)).artifact);
    assert.equal(new Set(artifacts).size, 2);
    const checkpoints = [first, second].map((of) => leaseFolder(of.leaseEpoch, of.leaseToken));
    assert.equal(new Set(checkpoints).size, 2);
  });

  test('what the first published is not answered to the second', async () => {
    const job = await createTestJob(services, team, 'dispatched');
    const standby = await keepJobRows(services, job.id);
    const first = leaseOf((await claims.dispatched(job, 'first'))!);
    await standby.failOver();
    const second = leaseOf((await claims.dispatched(job, 'second'))!);
    assert.ok(await publishAdapterVersion(services, second, testAdapter));
    assert.equal(await publishAdapterVersion(services, first, testAdapter), null);
    assert.ok(await publishAdapterVersion(services, second, testAdapter));
  });
});

test('a lease that a process of an earlier version claimed is read, swept and released as it is', async () => {
  const running = await createTestJob(services, team, 'running');
  await services.sql.query('UPDATE jobs SET lease_token = NULL WHERE id = $1', [running.id]);
  const lease = { ...leaseOf(running), token: null };
  assert.ok(await heartbeatJob(services, lease, { leaseSeconds: 60 }));
  assert.ok(await releaseJob(services, lease));
});

test('pausing and cancelling by the worker needs a request', async () => {
  const lease = leaseOf(await createTestJob(services, team, 'running'));
  assert.equal(await pauseRunningJob(services, lease), null);
  assert.equal(await cancelRunningJob(services, lease), null);
});
