import { setTimeout as sleep } from 'node:timers/promises';
import { claimJob, type Lease, staleDispatched } from '@graft/service';
import { repeat } from '../repeat.ts';
import { type RunOptions, runTrainingJob } from './run-training-job.ts';
import type { TrainerProcess } from './trainer-process.ts';

export interface LeaseLoopOptions extends Omit<RunOptions, 'trainer' | 'shutdown'> {
  workerId: string;
  /** One slot each. */
  trainers: TrainerProcess[];
}

export interface LeaseLoop {
  /** Jobs in this worker's hands. */
  readonly running: number;
  /** Takes no further job, has those at hand checkpointed and released, and resolves when they are. */
  stop(): Promise<void>;
}

// A dispatched job whose bell did not reach anyone is taken from its row after this long. The reconciler rings again
// too, but later, and not while the queue is down.
const unheardSeconds = 2;
const pollMilliseconds = 2000;
// For the last writes of the jobs at hand, after their trainers have stopped.
const settleMilliseconds = 10_000;

/**
 * Takes jobs, from the doorbell and from their rows, runs each in a free trainer, and lets go of it. One ring or
 * row too many does no harm: `claimJob` hands a job out once.
 */
export async function startLeaseLoop(options: LeaseLoopOptions): Promise<LeaseLoop> {
  const { services, workerId, trainers, times, log } = options;
  const shutdown = new AbortController();
  const free = [...trainers];
  const running = new Set<Promise<void>>();

  /** Answers once the job is over, or at once when it is not for this worker. */
  async function take(lease: Lease): Promise<void> {
    // Without a free slot the row stays dispatched, for whoever polls first.
    if (shutdown.signal.aborted) return;
    const trainer = free.pop();
    if (!trainer) return;
    const work = claimAndRun(lease, trainer).finally(() => {
      free.push(trainer);
      running.delete(work);
    });
    running.add(work);
    await work;
  }

  async function claimAndRun(lease: Lease, trainer: TrainerProcess): Promise<void> {
    const job = await claimJob(services, lease, { workerId, leaseSeconds: times.leaseSeconds });
    if (!job) return;
    log.info({ jobId: job.id, leaseEpoch: job.leaseEpoch, attempt: job.attempts }, 'job claimed');
    await runTrainingJob(job, { ...options, trainer, shutdown: shutdown.signal });
  }

  async function pollRows(): Promise<void> {
    if (free.length === 0) return;
    for (const lease of (await staleDispatched(services, { seconds: unheardSeconds })).slice(
      0,
      free.length,
    )) {
      void take(lease).catch((error) =>
        log.error({ jobId: lease.id, err: error }, 'job could not be claimed'),
      );
    }
  }

  const consumer =
    trainers.length > 0 ? await services.queue.consume(take, { concurrency: trainers.length }) : null;
  const poll = repeat('poll of dispatched jobs', pollMilliseconds, pollRows, log);
  return {
    get running() {
      return running.size;
    },
    stop: async () => {
      shutdown.abort();
      await poll.stop();
      // With Postgres away, what could not be written must not hold the process: leases run out.
      const patience = sleep(options.drainMilliseconds + settleMilliseconds, undefined, { ref: false });
      await Promise.race([Promise.allSettled(running), patience]);
      await consumer?.close();
    },
  };
}
