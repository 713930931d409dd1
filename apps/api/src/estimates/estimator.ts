import type { ResolvedTraining } from '@graft/peft-core/config';
import type { JobEstimate } from '@graft/service/jobs';
import type { Services } from '@graft/service/services';
import { createFileThreads } from '../job-files/file-threads.ts';
import { createFairQueue } from '../threads/fair-queue.ts';
import { estimateJob, type PlannedJob } from './estimate-job.ts';

export interface Estimator {
  /** Throws as `estimateJob` does, and QueueFull if too many estimates wait. */
  estimate(
    teamId: string,
    job: PlannedJob,
    signal: AbortSignal,
  ): Promise<{ estimate: JobEstimate; training: ResolvedTraining }>;
  close(): Promise<void>;
}

/** Runs one or two estimates at a time, of different teams in turn, so that slow files of one team delay no other team. */
export function createEstimator(services: Services, options: { timeoutMs: number }): Estimator {
  const { timeoutMs } = options;
  const { count, heapMb } = services.threads.estimates;
  const threads = createFileThreads({ heapMb });
  const queue = createFairQueue({ running: { perOwner: 1, all: count }, waiting: { perOwner: 4, all: 64 } });
  return {
    estimate: async (teamId, job, signal) => {
      return await queue.run(teamId, async () => {
        signal.throwIfAborted();
        return await estimateJob(services, threads, job, { timeoutMs, signal });
      });
    },
    close: async () => await threads.close(),
  };
}
