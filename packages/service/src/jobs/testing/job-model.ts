/**
 * The state machine of a job as documented for users, implemented a second time and without SQL: interleavings.test.ts
 * checks the transitions against it. One job and any number of workers, most of them with outdated leases.
 */
import type { JobState } from '../job.ts';

export type Operation =
  | { type: 'create again' }
  | { type: 'claim validation' }
  | { type: 'heartbeat validation'; lease: number; bytes: number }
  | { type: 'finish validation'; lease: number; ok: boolean }
  | { type: 'release validation'; lease: number }
  | { type: 'dispatch' }
  /** A notification of the queue: late, duplicate, or for an outdated epoch. */
  | { type: 'claim'; lease: number }
  | { type: 'heartbeat'; lease: number }
  | { type: 'checkpoint'; lease: number; step: number }
  | { type: 'publish'; lease: number }
  | { type: 'fail'; lease: number; fault: 'user' | 'system' | 'environment' }
  | { type: 'release'; lease: number }
  | { type: 'release late'; lease: number }
  | { type: 'stop paused'; lease: number }
  | { type: 'stop cancelled'; lease: number }
  | { type: 'cancel' }
  | { type: 'pause' }
  | { type: 'resume' }
  | { type: 'sweep' }
  /** The holder of the lease is dead, or cut off, for longer than the lease lasts. */
  | { type: 'lease runs out' }
  | { type: 'backoff passes' };

/** The columns of a job's row that affect decisions. */
export interface ModelJob {
  state: JobState;
  epoch: number;
  lease: 'none' | 'held' | 'expired';
  /** True where `run_after` has passed. */
  due: boolean;
  cancelAsked: boolean;
  pauseAsked: boolean;
  attempts: number;
  attemptsSinceCheckpoint: number;
  validationAttempts: number;
  furthestBytes: number;
  checkpoint: number | null;
  environmentFaults: number;
  /** The checkpoint that the running attempt started from. */
  fromStep: number;
  versions: number;
}

export const newModelJob: ModelJob = {
  state: 'validating',
  epoch: 0,
  lease: 'none',
  due: true,
  cancelAsked: false,
  pauseAsked: false,
  attempts: 0,
  attemptsSinceCheckpoint: 0,
  validationAttempts: 0,
  furthestBytes: 0,
  checkpoint: null,
  environmentFaults: 0,
  fromStep: 0,
  versions: 0,
};

/** The result that the caller receives: `fenced` and `nothing` change nothing. */
export type Answer = 'done' | 'fenced' | 'nothing' | 'refused';

type Outcome = [answer: Answer, job: ModelJob];

const lossLimit = 3;
const returnLimit = 20;

/** Returns the answer to an operation, and the job after it. */
export function apply(job: ModelJob, operation: Operation): Outcome {
  const refuse = (answer: Answer): Outcome => [answer, job];
  const become = (changes: Partial<ModelJob>): Outcome => ['done', { ...job, ...changes }];
  const end = (state: 'succeeded' | 'failed' | 'cancelled', changes: Partial<ModelJob> = {}) =>
    become({ state, lease: 'none', pauseAsked: false, ...changes });
  const fence = { epoch: job.epoch + 1, lease: 'none' } as const;
  const refunded = {
    attempts: job.attempts - 1,
    attemptsSinceCheckpoint: Math.max(0, job.attemptsSinceCheckpoint - 1),
  };
  /** Ends the attempt but not the job, which is queued, or paused if a pause was requested. */
  const putBack = (changes: Partial<ModelJob>) =>
    become({
      state: job.pauseAsked ? 'paused' : 'queued',
      lease: 'none',
      pauseAsked: false,
      due: false,
      ...changes,
    });
  /** Refunds the attempt, but counts the release: after `returnLimit` of them the job fails. */
  const giveBack = (due: boolean) => {
    const faults = (job.checkpoint ?? 0) > job.fromStep ? 1 : job.environmentFaults + 1;
    return faults >= returnLimit ? end('failed') : putBack({ ...refunded, environmentFaults: faults, due });
  };
  const holds = (state: JobState) =>
    'lease' in operation && operation.lease === job.epoch && job.state === state;

  switch (operation.type) {
    case 'create again':
      return refuse('done');
    case 'claim validation': {
      if (job.state !== 'validating' || !job.due || job.lease === 'held') return refuse('nothing');
      const [, free] = job.lease === 'expired' ? expireValidation(job) : refuse('nothing');
      if (free.state !== 'validating' || !free.due) return ['nothing', free];
      const { epoch, validationAttempts } = free;
      return [
        'done',
        { ...free, epoch: epoch + 1, lease: 'held', validationAttempts: validationAttempts + 1 },
      ];
    }
    case 'heartbeat validation': {
      if (!holds('validating') || job.lease === 'none') return refuse('fenced');
      const isFurther = operation.bytes > job.furthestBytes;
      return become({
        lease: 'held',
        furthestBytes: Math.max(job.furthestBytes, operation.bytes),
        validationAttempts: isFurther ? 1 : job.validationAttempts,
      });
    }
    case 'finish validation':
      if (!holds('validating') || job.lease === 'none') return refuse('fenced');
      return operation.ok ? become({ state: 'queued', lease: 'none', due: true }) : end('failed');
    case 'release validation':
      if (!holds('validating') || job.lease === 'none') return refuse('fenced');
      return become({ ...fence, validationAttempts: Math.max(0, job.validationAttempts - 1), due: true });
    case 'dispatch':
      if (job.state !== 'queued' || !job.due) return refuse('nothing');
      return become({ state: 'dispatched', ...fence });
    case 'claim':
      if (!holds('dispatched')) return refuse('fenced');
      return become({
        state: 'running',
        lease: 'held',
        attempts: job.attempts + 1,
        attemptsSinceCheckpoint: job.attemptsSinceCheckpoint + 1,
        fromStep: job.checkpoint ?? 0,
      });
    case 'heartbeat':
      return holds('running') ? become({ lease: 'held' }) : refuse('fenced');
    case 'checkpoint': {
      if (!holds('running')) return refuse('fenced');
      const isNew = operation.step > (job.checkpoint ?? -1);
      return become({
        checkpoint: Math.max(job.checkpoint ?? 0, operation.step),
        attemptsSinceCheckpoint: isNew ? 1 : job.attemptsSinceCheckpoint,
      });
    }
    case 'publish':
      // A worker that published but missed the answer gets it again.
      if (holds('succeeded')) return refuse('done');
      if (!holds('running') || job.cancelAsked) return refuse('fenced');
      return end('succeeded', { versions: job.versions + 1 });
    case 'fail': {
      if (!holds('running')) return refuse('fenced');
      if (job.cancelAsked) return end('cancelled');
      if (operation.fault === 'user') return end('failed');
      if (operation.fault === 'system') {
        return job.attemptsSinceCheckpoint >= lossLimit ? end('failed') : putBack({});
      }
      return giveBack(false);
    }
    case 'release':
      if (!holds('running')) return refuse('fenced');
      return job.cancelAsked ? end('cancelled') : putBack({ ...refunded, due: true });
    case 'release late':
      if (!holds('running')) return refuse('fenced');
      return job.cancelAsked ? end('cancelled') : giveBack(true);
    case 'stop paused':
      if (!holds('running') || !job.pauseAsked || job.cancelAsked) return refuse('fenced');
      return putBack({ ...refunded, due: job.due });
    case 'stop cancelled':
      return holds('running') && job.cancelAsked ? end('cancelled') : refuse('fenced');
    case 'cancel':
      if (isOver(job)) return refuse('refused');
      return job.state === 'running' ? become({ cancelAsked: true }) : end('cancelled', fence);
    case 'pause':
      if (job.state === 'running') return become({ pauseAsked: true });
      if (job.state !== 'queued' && job.state !== 'dispatched') return refuse('refused');
      return become({ state: 'paused', ...fence });
    case 'resume':
      if (job.state === 'paused') return become({ state: 'queued', pauseAsked: false, due: true });
      return job.state === 'running' && job.pauseAsked ? become({ pauseAsked: false }) : refuse('refused');
    case 'sweep':
      if (job.lease !== 'expired') return refuse('nothing');
      if (job.state === 'validating') return expireValidation(job);
      if (job.cancelAsked) return end('cancelled', fence);
      if (job.attemptsSinceCheckpoint >= lossLimit) return end('failed', fence);
      return putBack(fence);
    case 'lease runs out':
      return ['done', job.lease === 'held' ? { ...job, lease: 'expired' } : job];
    case 'backoff passes':
      return become({ due: true });
  }
}

export function isOver({ state }: ModelJob): boolean {
  return state === 'succeeded' || state === 'failed' || state === 'cancelled';
}

function expireValidation(job: ModelJob): Outcome {
  const lost: ModelJob = { ...job, epoch: job.epoch + 1, lease: 'none' };
  if (job.validationAttempts >= 8) return ['done', { ...lost, state: 'failed' }];
  return ['done', { ...lost, due: job.due && job.validationAttempts < 3 }];
}
