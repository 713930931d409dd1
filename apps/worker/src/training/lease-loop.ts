import { asTeam, claimNextJob, repeat, staleDispatched, type WorkerCapabilities } from '@graft/service';
import type { CardWatch } from '../cards/card-watch.ts';
import type { WorkerHealth } from '../health/worker-health.ts';
import type { SharedCard } from './memory/whole-card.ts';
import { type RunOptions, runTrainingJob } from './run-training-job.ts';
import type { TrainerProcess } from './trainer-process.ts';

export interface LeaseLoopOptions
  extends Omit<RunOptions, 'trainer' | 'card' | 'shutdown' | 'hurry' | 'claimedAt'> {
  workerId: string;
  /** What its jobs may require of it now. */
  capabilities: () => WorkerCapabilities;
  health: WorkerHealth;
  /** One slot each. */
  trainers: TrainerProcess[];
  /** Which of their cards can be used. Absent: all. */
  cards?: Pick<CardWatch, 'faultOf'>;
  /** The card of a trainer that shares it with the generator. */
  shared?: (trainer: TrainerProcess) => SharedCard | undefined;
}

export interface LeaseLoop {
  /** Jobs that this worker runs now. */
  readonly running: number;
  /** Takes no further job; resolves when the running ones are checkpointed and released. */
  stop(): Promise<void>;
  /** Releases the running ones now: what they did since their last checkpoints is done again. */
  hurry(): void;
}

// A dispatched job that no worker took from the queue is taken from its row after this long. The reconciler puts it into
// the queue again too, but later, and not while the queue is down.
const unheardSeconds = 2;
const pollMilliseconds = 2000;

/**
 * Takes jobs from the queue and from their rows, and runs each in a free trainer. Being told of a job twice does no harm:
 * each is claimed once.
 */
export function startLeaseLoop(options: LeaseLoopOptions): LeaseLoop {
  const { services, workerId, health, trainers, cards, times, log } = options;
  const shutdown = new AbortController();
  const hurry = new AbortController();
  const free = [...trainers];
  const running = new Set<Promise<unknown>>();
  const isUsable = ({ device }: TrainerProcess) => !cards?.faultOf(device);
  /** What this worker can do with these models of cards alone. */
  const capabilitiesOn = (gpus: string[]): WorkerCapabilities => {
    const { gpus: _, ...rest } = options.capabilities();
    return gpus.length > 0 ? { ...rest, gpus } : rest;
  };

  /** Resolves once the job is over, or at once when this worker does not get it. */
  async function take(): Promise<void> {
    // Without a free slot the row stays dispatched, and the worker that polls first takes it.
    if (shutdown.signal.aborted || !health.takesJobs) return;
    // A job goes on with the model of card that it was begun on.
    for (const gpu of new Set(free.filter(isUsable).map(gpuOf))) if (await takeOn(gpu)) return;
  }

  /** False: there is no job for such a card, or no slot of one is free any more. */
  async function takeOn(gpu: string | null): Promise<boolean> {
    const able = () => free.filter((each) => gpuOf(each) === gpu && isUsable(each));
    let trainer = able().at(-1)!;
    if (!trainer) return false;
    free.splice(free.indexOf(trainer), 1);
    // A confined trainer is a new process, without the base model, for another team than its last.
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
    // The bell says that there is a job; whose turn it is now, the rows say.
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
    const outcome = await asTeam(job.teamId, () => runTrainingJob(job, run));
    if (!shutdown.signal.aborted) await health.jobLeft(outcome === 'succeeded');
    return true;
  }

  async function pollRows(): Promise<void> {
    const usable = free.filter(isUsable);
    if (usable.length === 0 || !health.takesJobs) return;
    // Those that are for others would else stand before its own.
    const gpus = usable.map(gpuOf).filter((gpu) => gpu !== null);
    const worker = { id: workerId, capabilities: capabilitiesOn([...new Set(gpus)]) };
    const leases = await staleDispatched(services, { seconds: unheardSeconds, worker });
    for (const lease of leases.slice(0, usable.length)) {
      void take().catch((error) => log.error({ jobId: lease.id, err: error }, 'job could not be claimed'));
    }
  }

  // While this worker takes no jobs it hears no bells: they are for the others. One change after the other.
  let consumer: Awaited<ReturnType<typeof services.queue.consume>> | null = null;
  let listening = Promise.resolve();
  const listen = () => {
    listening = listening
      .then(async () => {
        const wanted = health.takesJobs && !shutdown.signal.aborted && trainers.length > 0;
        if (wanted) consumer ??= await services.queue.consume(take, { concurrency: trainers.length });
        else if (consumer) {
          const closing = consumer;
          consumer = null;
          // It waits for the jobs under way.
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
      // While Postgres is away the last writes would never end. Whoever stops this stops waiting then: the leases run out.
      await Promise.all([poll.stop(), Promise.allSettled(running)]);
      await listening;
      await consumer?.close();
    },
    hurry: () => hurry.abort(),
  };
}

/** The model of a trainer's card; null: it computes on a processor. */
const gpuOf = ({ device }: TrainerProcess): string | null => (device.kind === 'gpu' ? device.name : null);
