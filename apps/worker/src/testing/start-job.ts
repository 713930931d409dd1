import { claimJob, dispatchJobs, type Job, registerWorker, type Services } from '@graft/service';
import { runTrainingJob } from '../training/run-training-job.ts';
import type { JobOutcome } from '../training/settle-job.ts';
import type { TrainerProcess } from '../training/trainer-process.ts';

export interface StartedJob {
  claimed: Job;
  outcome: Promise<JobOutcome>;
  /** The shutdown of the worker that runs it. */
  stop: AbortController;
}

/** Dispatches and claims a queued job and runs it in `trainer`, as a worker does. */
export async function startJob(
  services: Services,
  job: Job,
  trainer: TrainerProcess,
  { leaseSeconds = 5, pollMilliseconds = 200 }: { leaseSeconds?: number; pollMilliseconds?: number } = {},
): Promise<StartedJob> {
  // Only jobs for living workers are dispatched.
  const worker = { id: 'worker-test', address: null, hostname: 'test', pid: process.pid, slots: 50 };
  await registerWorker(services, worker);
  const lease = (await dispatchJobs(services)).find(({ id }) => id === job.id);
  if (!lease) throw new Error(`${job.id} was not dispatched`);
  const claimed = (await claimJob(services, lease, { workerId: worker.id, leaseSeconds }))!;
  const stop = new AbortController();
  const outcome = runTrainingJob(claimed, {
    services,
    trainer,
    times: { leaseSeconds, heartbeatSeconds: 1, pollMilliseconds },
    drainMilliseconds: 5000,
    shutdown: stop.signal,
    code: { version: '0.0.0', commit: null },
    log: services.log,
  });
  return { claimed, outcome, stop };
}
