import { withTeamScope } from '@graft/service/database';
import { claimNextJob, staleDispatched, type WorkerCapabilities } from '@graft/service/jobs';
import { repeat } from '@graft/service/repeat';
import type { CardWatch } from '../cards/card-watch.ts';
import type { WorkerHealth } from '../health/worker-health.ts';
import type { SharedCard } from './memory/whole-card.ts';
import { type RunOptions, runTrainingJob } from './run-training-job.ts';
import type { TrainerProcess } from './trainer-process.ts';

export interface LeaseLoopOptions
  extends Omit<RunOptions, 'trainer' | 'card' | 'shutdown' | 'hurry' | 'claimedAt'> {
  workerId: string;
  capabilities: () => WorkerCapabilities;
  health: WorkerHealth;
  /** One trainer per slot. */
  trainers: TrainerProcess[];
  /** Reports which cards are unusable. Absent: all are usable. */
  cards?: Pick<CardWatch, 'faultOf'>;
  /** The card of a trainer that shares it with the generator. */
  shared?: (trainer: TrainerProcess) => SharedCard | undefined;
}

export interface LeaseLoop {
  readonly running: number;
  /** Claims no further job; resolves when the running ones are checkpointed and released. */
  stop(): Promise<void>;
  /** Releases the running jobs now; the work since their last checkpoints is repeated later. */
  hurry(): void;
}

// A dispatched job that no worker claimed through the queue is claimed from its row after this long. The reconciler adds it to the
// queue again too, but later, and not while the queue is unavailable.
const unheardSeconds = 2;
const pollMilliseconds = 2000;

/**
 * Claims jobs on messages of the queue and by polling their rows, and runs each in a free trainer. Repeated messages for a job do no
 * harm: each job is claimed once.
 */
export function startLeaseLoop(options: LeaseLoopOptions): LeaseLoop {
  const { services, workerId, health, trainers, cards, times, log } = options;
  const shutdown = new AbortController();
  const hurry = new AbortController();
  const free = [...trainers];
  const running = new Set<Promise<unknown>>();
  const isUsable = ({ device }: TrainerProcess) => !cards?.faultOf(device);
  /** The capabilities of this worker restricted to these GPU models. */
  const capabilitiesOn = (gpus: string[]): WorkerCapabilities => {
    const { gpus: _, ...rest } = options.capabilities();
    return gpus.length > 0 ? { ...rest, gpus } : rest;
  };

  /** Claims and runs a job. Resolves once the job is over, or immediately when this worker gets none. */
  async function take(): Promise<void> {
    // Without a free slot the row stays dispatched, and the next worker that polls claims it.
    if (shutdown.signal.aborted || !health.acceptsJobs) return;
    // A job continues on the GPU model that it was started on.
    for (const gpu of new Set(free.filter(isUsable).map(gpuOf))) if (await takeOn(gpu)) return;
  }

  /** Runs a job on this GPU model. False: there is no such job, or no free slot with this model. */
  async function takeOn(gpu: string | null): Promise<boolean> {
    const able = () => free.filter((each) => gpuOf(each) === gpu && isUsable(each));
    let trainer = able().at(-1)!;
    if (!trainer) return false;
    free.splice(free.indexOf(trainer), 1);
    // For another team than its last, a confined trainer needs a new process, without the loaded base model.
    const readiest = (team: string) => {
      free.push(trainer);
      trainer = able()
        .sort((a, b) => a.readinessFor(team) - b.readinessFor(team))
        .at(-1)!;
      free.splice(free.indexOf(trainer), 1);
      return trainer;
    };
    const work = claimAndRun(gpu, readiest).finally(() => {
      free.push(trainer);
      running.delete(work);
    });
    running.add(work);
    return await work;
  }

  async function claimAndRun(
    gpu: string | null,
    trainerFor: (team: string) => TrainerProcess,
  ): Promise<boolean> {
    // The message only says that there is a job; the rows determine whose turn it is.
    const claimed = await claimNextJob(services, {
      workerId,
      leaseSeconds: times.leaseSeconds,
      capabilities: capabilitiesOn(gpu === null ? [] : [gpu]),
    });
    if (!claimed) return false;
    const { job, claimedAt } = claimed;
    log.info({ jobId: job.id, leaseEpoch: job.leaseEpoch, attempt: job.attempts }, 'job claimed');
    const trainer = trainerFor(job.teamId);
    const card = options.shared?.(trainer);
    const run = { ...options, trainer, card, claimedAt, shutdown: shutdown.signal, hurry: hurry.signal };
    const outcome = await withTeamScope(job.teamId, () => runTrainingJob(job, run));
    if (!shutdown.signal.aborted) await health.jobLeft(outcome === 'succeeded');
    return true;
  }

  async function pollRows(): Promise<void> {
    const usable = free.filter(isUsable);
    if (usable.length === 0 || !health.acceptsJobs) return;
    // Only this worker's jobs, because jobs for others would otherwise come first in the list.
    const gpus = usable.map(gpuOf).filter((gpu) => gpu !== null);
    const worker = { id: workerId, capabilities: capabilitiesOn([...new Set(gpus)]) };
    const leases = await staleDispatched(services, { seconds: unheardSeconds, worker });
    for (const lease of leases.slice(0, usable.length)) {
      void take().catch((error) => log.error({ jobId: lease.id, err: error }, 'job could not be claimed'));
    }
  }

  // While this worker claims no jobs, it does not consume the queue, so that others get the messages. Changes are sequential.
  let consumer: Awaited<ReturnType<typeof services.queue.consume>> | null = null;
  let listening = Promise.resolve();
  const listen = () => {
    listening = listening
      .then(async () => {
        const wanted = health.acceptsJobs && !shutdown.signal.aborted && trainers.length > 0;
        if (wanted) consumer ??= await services.queue.consume(take, { concurrency: trainers.length });
        else if (consumer) {
          const closing = consumer;
          consumer = null;
          // Closing waits for the running jobs.
          void closing.close().catch((error) => log.warn({ err: error }, 'a consumer did not close'));
        }
      })
      .catch((error) => log.error({ err: error }, 'the queue cannot be heard'));
  };
  health.onChange(listen);
  listen();
  const poll = repeat('poll of dispatched jobs', pollMilliseconds, pollRows, log);
  return {
    get running() {
      return running.size;
    },
    stop: async () => {
      shutdown.abort();
      // While Postgres is unavailable the last writes never end. The caller then stops waiting, and the leases expire.
      await Promise.all([poll.stop(), Promise.allSettled(running)]);
      await listening;
      await consumer?.close();
    },
    hurry: () => hurry.abort(),
  };
}

/** The model of a trainer's GPU; null on a CPU. */
const gpuOf = ({ device }: TrainerProcess): string | null => (device.kind === 'gpu' ? device.name : null);
