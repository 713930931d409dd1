// The rows of a sweep's trials are created with the job, and only the holder of its lease updates them.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { parsePeftConfig, parseSweep, resolveTraining, trialsOf } from '@graft/peft-core/config';
import type { Services } from '../../services.ts';
import { createTestJob, createTestTeam, dispatch, type TestTeam } from '../../testing/job-fixtures.ts';
import { openTestServices } from '../../testing/open-test-services.ts';
import { clearWorkerFaults } from '../../workers/worker-quarantine.ts';
import { registerWorker } from '../../workers/worker-registry.ts';
import { type Job, leaseOf } from '../job.ts';
import { type JobMetric, recordMetrics } from '../leases/job-metrics.ts';
import { claimJob } from '../transitions/claim-job.ts';
import { claimValidation, finishValidation } from '../transitions/validate-job.ts';
import type { WorkerCapabilities } from '../turns/can-claim.ts';
import { listTrials, recordTrials, type TrialState } from './job-trial.ts';
import { getJob } from './read-jobs.ts';
import { readMetricStretches, readMetrics } from './read-metrics.ts';

let services: Services;
let team: TestTeam;
before(async () => {
  services = await openTestServices();
  team = await createTestTeam(services);
});
after(async () => await services.close());

const grid = parseSweep({ r: [2, 4] })!;
const trials = trialsOf(grid, { peft: undefined, training: {}, hyperparameters: {}, startPeft: null });
const startSweep = (): Promise<Job> =>
  createTestJob(services, team, 'running', { sweep: { grid, peft: null, trials } });

test('trials are returned with their job, and are recorded under its lease alone', async () => {
  const job = await startSweep();
  const { sweep } = (await getJob(services, team.id, job.id))!;
  assert.deepEqual(sweep, { grid, peft: null, comparison: 'late' });
  const made = await listTrials(services, team.id, job.id);
  assert.deepEqual(
    made.map(({ trial, status, step, rungs, peft }) => ({ trial, status, step, rungs, peft })),
    trials.map(({ peft }, i) => ({ trial: i + 1, status: 'waiting', step: 0, rungs: [], peft })),
  );
  const states: TrialState[] = [
    { trial: 1, status: 'stopped', step: 3, rungs: [{ step: 3, loss: null }] },
    { trial: 2, status: 'running', step: 5, rungs: [{ step: 3, loss: 0.25 }] },
  ];
  assert.ok(await recordTrials(services, leaseOf(job), states));
  const fenced = { ...leaseOf(job), epoch: job.leaseEpoch - 1 };
  assert.equal(await recordTrials(services, fenced, [{ ...states[0]!, status: 'won' }]), false);
  const now = await listTrials(services, team.id, job.id);
  assert.deepEqual(
    now.map(({ trial, status, step, rungs }) => ({ trial, status, step, rungs })),
    states,
  );
  const other = await createTestTeam(services);
  assert.deepEqual(await listTrials(services, other.id, job.id), []);
  const plain = await createTestJob(services, team, 'running', {
    peft: parsePeftConfig({ peft_type: 'LORA' }),
  });
  assert.deepEqual([plain.sweep, await listTrials(services, team.id, plain.id)], [null, []]);
});

test('a sweep is queued with what each trial resolved to, and claimed', async () => {
  const job = await createTestJob(services, team, 'validating', { sweep: { grid, peft: null, trials } });
  const claim = { workerId: 'validator-test', leaseSeconds: 60, id: job.id };
  const validating = leaseOf((await claimValidation(services, claim))!);
  const resolved = trials.map(({ peft, training }) =>
    resolveTraining({ peft, training: { ...training, validation_split: 0.5 }, exampleCount: 9, trials: 2 }),
  );
  const outcome = { ok: true, resolvedTraining: resolved[0]!, trials: resolved } as const;
  const queued = await finishValidation(services, validating, outcome);
  assert.equal(queued?.state, 'queued');
  const listed = await listTrials(services, team.id, job.id);
  assert.deepEqual(
    listed.map(({ resolvedTraining }) => resolvedTraining),
    resolved,
  );

  const capabilities: WorkerCapabilities = { device: 'cpu', threads: 1, precisions: ['fp32'], sweeps: true };
  const worker = { id: 'worker-of-sweeps', address: null, hostname: 'test', pid: process.pid, slots: 1 };
  await registerWorker(services, { ...worker, capabilities });
  await clearWorkerFaults(services, worker.id);
  const lease = await dispatch(services, job.id);
  const by = { workerId: worker.id, leaseSeconds: 60, capabilities };
  assert.equal((await claimJob(services, lease, by))?.state, 'running');
});

test('metrics name their trial, and no bucket of a downsampled series mixes two trials', async () => {
  const job = await startSweep();
  const rows = Array.from({ length: 20 }, (_, i): JobMetric => {
    const of = i < 7 ? { trial: 1, trialStep: i + 1 } : { trial: 2, trialStep: i - 6 };
    return { kind: 'train', step: i + 1, epoch: 1, loss: i < 7 ? 1 : 5, tokens: i, metrics: {}, ...of };
  });
  await recordMetrics(services, leaseOf(job), rows);
  const { data } = await readMetrics(services, team.id, job.id, { limit: 100 });
  assert.deepEqual(
    data.map(({ createdAt: _, ...metric }) => metric),
    rows,
  );
  const summed = await readMetricStretches(services, team.id, job.id, { resolution: 2 });
  assert.deepEqual(
    summed.map(({ trial, stretch }) => [trial, stretch.firstStep, stretch.lastStep, stretch.lossMean]),
    [
      [1, 1, 7, 1],
      [2, 8, 10, 5],
      [2, 11, 20, 5],
    ],
  );
});
