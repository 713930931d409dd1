import {
  appendEvent,
  cancelRunningJob,
  failJob,
  heartbeatJob,
  isTerminal,
  type Job,
  type JobError,
  pauseRunningJob,
  publishAdapterVersion,
  type Release,
  releaseJob,
} from '@graft/service/jobs';
import { instruments } from '@graft/service/observe';
import type { Services } from '@graft/service/services';
import type { Slot, WorkerHealth } from '../health/worker-health.ts';
import { memoryFault } from '../processes/child-fault.ts';
import type { ChildExit } from '../processes/forked-process.ts';
import type { Interruption } from './job-interrupts.ts';
import type { JobLease, LeaseTimes } from './job-lease.ts';
import { memoryAdvice, nextMicroBatch, smallerMessage } from './memory/smaller-batch.ts';
import type { TrainerOutcome } from './trainer-process.ts';

/** How a claimed job left this worker. `fenced`: another worker has it, or it is over; this worker wrote nothing more. */
export type JobOutcome = 'succeeded' | 'failed' | 'requeued' | 'cancelled' | 'paused' | 'fenced';

/** A finished adapter, whose files are already in the artifact store. */
export type Publication = Parameters<typeof publishAdapterVersion>[2];

/**
 * Ends an attempt with one transition of the job, chosen by how training ended and by the requests received meanwhile. A finished job
 * is published even if a pause was requested; a cancel takes precedence until the commit. Throws `Fenced`.
 */
export class JobSettlement {
  readonly #services: Services;
  readonly #lease: JobLease;
  readonly #times: LeaseTimes;
  readonly #health: Pick<WorkerHealth, 'judge'>;
  readonly #slot: Slot;

  constructor(
    services: Services,
    lease: JobLease,
    times: LeaseTimes,
    { health, slot }: { health: Pick<WorkerHealth, 'judge'>; slot: Slot },
  ) {
    this.#services = services;
    this.#lease = lease;
    this.#times = times;
    this.#health = health;
    this.#slot = slot;
  }

  async settle(
    end: TrainerOutcome,
    why: Interruption | null,
    publication: Publication | null,
  ): Promise<JobOutcome> {
    if (why === 'cancel') return await this.#left(await this.#lease.write(cancelRunningJob));
    // After the lease has ended, the end of the trainer is not the job's fault.
    if (this.#lease.lapsed && end.type !== 'finished' && end.type !== 'failed')
      return await this.release({ reason: 'The worker could not renew its lease in time', isLate: true });
    switch (end.type) {
      case 'finished':
        if (!publication) throw new Error('A finished job has something to publish.');
        return await this.#publish(publication);
      case 'stopped':
      case 'killed':
        if (why === 'pause') return await this.#pause();
        return await this.release(why === 'preempt' ? preempted : undefined);
      case 'failed':
        if (end.fault.code === memoryFault.code) return await this.#outOfMemory(end.fault);
        return await this.fail(end.fault);
      case 'crashed':
        if (!end.ready) return await this.fail(notStarted);
        return await this.fail({ ...systemFault, code: 'trainer_crashed', message: crashMessage(end.exit) });
      case 'rejected':
        return await this.fail({ ...systemFault, code: 'trainer_refused', message: refusedMessage });
      case 'stalled':
        return await this.fail({ ...systemFault, code: 'trainer_stalled', message: stallMessage });
    }
  }

  /**
   * running → failed, or → queued for another attempt here or elsewhere, or → cancelled. `failJob` decides, after the health check has
   * determined whether this worker is to blame.
   */
  async fail({ code, message, param, fault }: JobError): Promise<JobOutcome> {
    const { teamId } = this.#lease.job;
    const judged = await this.#health.judge({ code, message, param, fault }, teamId, this.#slot);
    if (judged.quarantined) {
      const worker = this.#lease.job.workerId;
      const event = {
        level: 'warn',
        message: `Worker ${worker} is quarantined until its health check passes`,
      } as const;
      await this.#lease.write((db, lease) =>
        appendEvent(db, lease, { ...event, data: { kind: 'quarantine', worker } }),
      );
    }
    return await this.#left(await this.#lease.write((db, lease) => failJob(db, lease, judged.fault)));
  }

  /** running → queued with the attempt refunded, or → paused or cancelled where requested. */
  async release(release?: Release): Promise<JobOutcome> {
    return await this.#left(await this.#lease.write((db, lease) => releaseJob(db, lease, release)));
  }

  /** Retries once with a smaller micro-batch, which gives the same result except for rounding; after that the job fails. */
  async #outOfMemory(fault: JobError): Promise<JobOutcome> {
    const { job } = this.#lease;
    const microBatch = nextMicroBatch(job);
    instruments.outOfMemory.inc({ outcome: microBatch === null ? 'failed' : 'tried_again' });
    if (microBatch === null)
      return await this.fail({ ...fault, message: memoryAdvice(job, this.#slot.device), param: 'training' });
    return await this.release({ reason: smallerMessage(job, microBatch, this.#slot.device), microBatch });
  }

  async #publish(publication: Publication): Promise<JobOutcome> {
    const published = await this.#lease.write(async (db, lease) => {
      const result = await publishAdapterVersion(db, lease, publication);
      if (result) return result;
      // Null means fenced, or that a cancel was written to the row first.
      const requests = await heartbeatJob(db, lease, this.#times);
      return requests?.cancelRequested ? 'cancel' : null;
    });
    return await this.#left(
      published === 'cancel' ? await this.#lease.write(cancelRunningJob) : published.job,
    );
  }

  async #pause(): Promise<JobOutcome> {
    // If the request was withdrawn while the trainer stopped, the job returns to the queue.
    const job = await this.#lease.write(
      async (db, lease) => (await pauseRunningJob(db, lease)) ?? (await releaseJob(db, lease)),
    );
    return await this.#left(job);
  }

  async #left(job: Job): Promise<JobOutcome> {
    if (isTerminal(job.state)) {
      // A finished job cannot be resumed, and its checkpoints contain the whole optimizer state. If the removal fails, the files are
      // garbage-collected later.
      await this.#services.checkpoints.remove(`checkpoints/${job.id}`).catch(() => {});
    }
    return job.state === 'queued' ? 'requeued' : (job.state as JobOutcome);
  }
}

const systemFault = { param: null, fault: 'system' } as const;
const notStarted: JobError = {
  code: 'trainer_not_started',
  message: 'The trainer cannot start on this worker.',
  param: null,
  fault: 'environment',
};
const preempted: Release = { reason: 'Preempted at a checkpoint' };
const refusedMessage = 'The trainer sent what no trainer of Graft sends, and was ended.';
const stallMessage = 'Training made no progress for too long and was stopped.';

function crashMessage({ code, signal }: ChildExit): string {
  if (signal === 'SIGKILL') return 'The trainer was killed, perhaps because memory ran out.';
  return `The trainer ended unexpectedly (${signal ?? `exit code ${code}`}).`;
}
