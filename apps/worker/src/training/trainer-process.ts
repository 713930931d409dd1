import type { AdapterVerification, TrainRecord } from '@graft/peft-core';
import type { Services } from '@graft/service';
import { childEnvironment } from '../processes/child-environment.ts';
import type { Device } from '../devices.ts';
import { type ChildExit, type ForkedProcess, forkProcess } from '../processes/forked-process.ts';
import type { Precision } from '../precision.ts';
import type {
  FromTrainer,
  ToTrainer,
  TrainerFault,
  TrainingRequest,
  VerificationRequest,
} from './trainer-protocol.ts';

export type TrainerOutcome =
  | { kind: 'finished' }
  /** Asked to stop; its last checkpoint record came before. */
  | { kind: 'stopped' }
  | { kind: 'failed'; fault: TrainerFault }
  /** Killed by the caller's signal. */
  | { kind: 'killed' }
  /** Ended without a word: out of memory, a crash in native code, `kill -9`. */
  | { kind: 'crashed'; exit: ChildExit }
  /** Killed because nothing was heard of it for too long. */
  | { kind: 'stalled' };

export interface TrainerOptions {
  entry: URL;
  device: Device;
  log: Services['log'];
  /** A trainer that says nothing for this long is killed. */
  stallMilliseconds: number;
  /** An unused trainer, and the base model it holds, is let go after this time. */
  idleMilliseconds: number;
}

export interface TrainerRun {
  precision: Precision;
  onRecord?: (record: TrainRecord) => void;
  onVerification?: (verification: AdapterVerification) => void;
  /** Aborted: the trainer finishes its step, writes a checkpoint and stops. */
  stop: AbortSignal;
  /** Aborted: the trainer is killed, within about 50 ms. */
  kill: AbortSignal;
}

interface Child {
  process: ForkedProcess<ToTrainer>;
  precision: Precision;
  onMessage: (message: FromTrainer) => void;
}

/**
 * The worker's side of one trainer slot. The child is started by the first job and kept, with its base model warm,
 * for the next job of the same precision.
 */
export class TrainerProcess {
  readonly device: Device;
  #options: TrainerOptions;
  #child: Child | null = null;
  #idle: NodeJS.Timeout | undefined;

  constructor(options: TrainerOptions) {
    this.device = options.device;
    this.#options = options;
  }

  /** Of the running child, if any: for logs and tests. */
  get pid(): number | null {
    return this.#child?.process.pid ?? null;
  }

  /** Trains one job; one at a time. `onRecord` gets its records in order, all of them before the outcome. */
  async run(request: TrainingRequest, run: TrainerRun): Promise<TrainerOutcome> {
    return await this.#ask({ type: 'train', request }, run);
  }

  /** Measures a finished job's files in a child of its own, which has seen nothing of the training. */
  async verify(request: VerificationRequest, run: TrainerRun): Promise<TrainerOutcome> {
    const fresh = new TrainerProcess(this.#options);
    try {
      return await fresh.#ask({ type: 'verify', request }, run);
    } finally {
      await fresh.close();
    }
  }

  async #ask(message: ToTrainer, run: TrainerRun): Promise<TrainerOutcome> {
    clearTimeout(this.#idle);
    const child = await this.#childFor(run.precision);
    const outcome = await this.#converse(child, message, run);
    const keep = outcome.kind === 'finished' || outcome.kind === 'stopped' || isUserFault(outcome);
    if (keep) this.#rest();
    else await this.#end();
    return outcome;
  }

  async close(): Promise<void> {
    clearTimeout(this.#idle);
    await this.#end();
  }

  async #childFor(precision: Precision): Promise<Child> {
    if (this.#child && this.#child.precision !== precision) await this.#end();
    if (this.#child) return this.#child;
    const { entry, device, log } = this.#options;
    const child: Child = {
      precision,
      onMessage: () => {},
      process: forkProcess<ToTrainer, FromTrainer>(entry, childEnvironment(device, precision), (message) =>
        child.onMessage(message),
      ),
    };
    this.#child = child;
    log.info({ childPid: child.process.pid }, `trainer started on the ${device.kind} in ${precision}`);
    void child.process.exited.then(({ code, signal }) => {
      if (this.#child === child) this.#child = null;
      log.info({ childPid: child.process.pid, code, signal }, 'trainer ended');
    });
    return child;
  }

  async #converse(child: Child, question: ToTrainer, run: TrainerRun): Promise<TrainerOutcome> {
    let ending: 'killed' | 'stalled' | null = null;
    let stall: NodeJS.Timeout | undefined;
    const end = (because: 'killed' | 'stalled') => {
      ending ??= because;
      child.process.kill();
    };
    const expectWord = () => {
      clearTimeout(stall);
      stall = setTimeout(() => end('stalled'), this.#options.stallMilliseconds);
    };
    const onKill = () => end('killed');
    const onStop = () => child.process.send({ type: 'stop' });
    try {
      const said = new Promise<TrainerOutcome>((resolve) => {
        child.onMessage = (message) => {
          expectWord();
          if (ending || message.type === 'ready') return;
          if (message.type === 'record') run.onRecord?.(message.record);
          else if (message.type === 'verification') run.onVerification?.(message.verification);
          else if (message.type === 'failed') resolve({ kind: 'failed', fault: message.fault });
          else resolve({ kind: message.type });
        };
      });
      const gone = child.process.exited.then(
        (exit): TrainerOutcome => (ending ? { kind: ending } : { kind: 'crashed', exit }),
      );
      expectWord();
      child.process.send(question);
      onAbort(run.stop, onStop);
      onAbort(run.kill, onKill);
      return await Promise.race([said, gone]);
    } finally {
      clearTimeout(stall);
      run.stop.removeEventListener('abort', onStop);
      run.kill.removeEventListener('abort', onKill);
      child.onMessage = () => {};
    }
  }

  #rest(): void {
    this.#idle = setTimeout(() => void this.#end(), this.#options.idleMilliseconds);
    this.#idle.unref();
  }

  async #end(): Promise<void> {
    const child = this.#child;
    if (!child) return;
    // At once, so that whoever comes while it dies starts another.
    this.#child = null;
    child.process.kill();
    await child.process.exited;
  }
}

function isUserFault(outcome: TrainerOutcome): boolean {
  return outcome.kind === 'failed' && outcome.fault.fault === 'user';
}

/** Calls `listener` on abort, at once if that has been. */
function onAbort(signal: AbortSignal, listener: () => void): void {
  if (signal.aborted) listener();
  else signal.addEventListener('abort', listener, { once: true });
}
