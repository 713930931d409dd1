import { setTimeout as sleep } from 'node:timers/promises';
import { claimJob, type Lease, repeat, staleDispatched } from '@graft/service';
import { type RunOptions, runTrainingJob } from './run-training-job.ts';
import type { TrainerProcess } from './trainer-process.ts';

export interface LeaseLoopOptions extends Omit<RunOptions, 'trainer' | 'shutdown'> {
  workerId: string;
  /** One slot each. */
  trainers: TrainerProcess[];
}

export interface LeaseLoop {
  /** Jobs that this worker runs now. */
  readonly running: number;
  /** Takes no further job; resolves when the running ones are checkpointed and released. */
  stop(): Promise<void>;
}

// A dispatched job that no worker took from the queue is taken from its row after this long. The reconciler puts it into
// the queue again too, but later, and not while the queue is down.
const unheardSeconds = 2;
const pollMilliseconds = 2000;
// For the last writes of the running jobs, after their trainers have stopped.
const settleMilliseconds = 10_000;

/**
 * Takes jobs from the queue and from their rows, and runs each in a free trainer. Being told of a job twice does no harm:
 * `claimJob` gives it out once.
 */
export async function startLeaseLoop(options: LeaseLoopOptions): Promise<LeaseLoop> {
  const { services, workerId, trainers, times, log } = options;
  const shutdown = new AbortController();
  const free = [...trainers];
  const running = new Set<Promise<void>>();

  /** Resolves once the job is over, or at once when this worker does not get it. */
  async function take(lease: Lease): Promise<void> {
    // Without a free slot the row stays dispatched, and the worker that polls first takes it.
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
      // While Postgres is away the last writes would never end. Without them the leases run out, which is enough.
      const patience = sleep(options.drainMilliseconds + settleMilliseconds, undefined, { ref: false });
      await Promise.race([Promise.allSettled(running), patience]);
      await consumer?.close();
    },
  };
}
