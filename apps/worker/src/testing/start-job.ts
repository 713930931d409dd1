import { setTimeout as sleep } from 'node:timers/promises';
import { claimJob, dispatchJobs, type Job, type WorkerCapabilities } from '@graft/service/jobs';
import type { Services } from '@graft/service/services';
import { registerWorker } from '@graft/service/workers';
import { dataFolderProof } from '../health/proofs.ts';
import { WorkerHealth } from '../health/worker-health.ts';
import { runTrainingJob } from '../training/run-training-job.ts';
import type { JobOutcome } from '../training/settle-job.ts';
import type { TrainerProcess } from '../training/trainer-process.ts';

export interface StartedJob {
  claimed: Job;
  outcome: Promise<JobOutcome>;
  /** Starts the shutdown of the worker that runs the job. */
  stop: AbortController;
  /** Has the effect of a second signal. */
  hurry: AbortController;
}

/** Dispatches and claims a queued job and runs it in `trainer`, as a worker does. */
export async function startJob(
  services: Services,
  job: Job,
  trainer: TrainerProcess,
  {
    leaseSeconds = 60,
    pollMilliseconds = 200,
    memoryBytes,
  }: { leaseSeconds?: number; pollMilliseconds?: number; memoryBytes?: number } = {},
): Promise<StartedJob> {
  // Jobs are dispatched only to registered workers, and claimed only by those whose checks passed.
  const capabilities: WorkerCapabilities = {
    device: 'cpu',
    threads: 1,
    precisions: ['fp32', 'bf16'],
    sweeps: true,
  };
  const worker = { id: 'worker-test', address: null, hostname: 'test', pid: process.pid, slots: 50 };
  await registerWorker(services, { ...worker, capabilities });
  const health = new WorkerHealth({
    services,
    workerId: worker.id,
    cheap: [dataFolderProof(services, worker.id)],
    thorough: [],
    proofSeconds: 60,
  });
  while (!health.acceptsJobs) await sleep(20);
  const lease = (await dispatchJobs(services)).find(({ id }) => id === job.id);
  if (!lease) throw new Error(`${job.id} was not dispatched`);
  const claimedAt = performance.now();
  const claimed = (await claimJob(services, lease, { workerId: worker.id, leaseSeconds, capabilities }))!;
  const stop = new AbortController();
  const hurry = new AbortController();
  const outcome = runTrainingJob(claimed, {
    services,
    trainer,
    memoryBytes,
    claimedAt,
    times: { leaseSeconds, heartbeatSeconds: 1, pollMilliseconds },
    drainMilliseconds: 5000,
    shutdown: stop.signal,
    hurry: hurry.signal,
    health,
    code: { version: '0.0.0', commit: null },
    log: services.log,
  }).finally(() => health.stop());
  return { claimed, outcome, stop, hurry };
}
