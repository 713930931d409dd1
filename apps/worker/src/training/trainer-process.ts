import type { AdapterVerification, TrainRecord } from '@graft/peft-core';
import type { Device, Precision } from '../devices.ts';
import { type Access, openTo, takeBack } from '../processes/child-user.ts';
import { type Failed, ForkedProcess, type Gone, type ProcessOptions } from '../processes/forked-process.ts';
import type { TrainerMessages, TrainingRequest, VerificationRequest } from './trainer-protocol.ts';

/** How a trainer's work on a job ended. */
export type TrainerOutcome = TrainerMessages['result'] | Failed | Gone;

export interface TrainerRun {
  onRecord?: (record: TrainRecord) => void;
  onVerification?: (verification: AdapterVerification) => void;
  /** Aborted: the trainer finishes its step, writes a checkpoint and stops. */
  stop: AbortSignal;
  /** Aborted: the trainer is killed, within about 50 ms. */
  kill: AbortSignal;
}

/** The worker's side of one trainer slot: a child process that trains one job at a time. */
export class TrainerProcess {
  readonly device: Device;
  readonly #options: ProcessOptions;
  readonly #process: ForkedProcess<TrainerMessages>;
  #busy = false;
  #verifier: TrainerProcess | null = null;
  #deadline = Number.POSITIVE_INFINITY;

  constructor(options: ProcessOptions) {
    this.device = options.device;
    this.#options = options;
    this.#process = new ForkedProcess('trainer', ['finished', 'stopped'], options);
  }

  /** Of the running child, if any: for logs and tests. */
  get pid(): number | null {
    return this.#process.pid;
  }

  /** The child ends itself after this time of `performance.now()`, unless it is put off: its lease is over then. */
  holdUntil(time: number): void {
    this.#deadline = time;
    this.#process.holdUntil(time);
    this.#verifier?.holdUntil(time);
  }

  /** Trains one job; one at a time. `onRecord` gets its records in order, all of them before the outcome. */
  async run(request: TrainingRequest, run: TrainerRun): Promise<TrainerOutcome> {
    const { user } = this.#options;
    if (!user) return await this.#call({ type: 'train', request }, request.requirements, run);
    const message = { type: 'train', request: { ...request, digestCache: user.digestCache } } as const;
    const access = accessOf(request);
    await openTo(user, access);
    try {
      return await this.#call(message, request.requirements, run);
    } finally {
      await takeBack(access);
    }
  }

  /** Measures a finished job's files in a child of its own, which has seen nothing of the training. */
  async verify(request: VerificationRequest, run: TrainerRun): Promise<TrainerOutcome> {
    const fresh = new TrainerProcess(this.#options);
    const { digestCache = request.digestCache } = this.#options.user ?? {};
    fresh.holdUntil(this.#deadline);
    this.#verifier = fresh;
    try {
      return await fresh.#call(
        { type: 'verify', request: { ...request, digestCache } },
        request.requirements,
        run,
      );
    } finally {
      this.#verifier = null;
      await fresh.close();
    }
  }

  /** Has the child compute something whose result is known. Null: it is at work, which proves as much. */
  async prove(
    computing: { precision: Precision; threads: number },
    kill: AbortSignal,
  ): Promise<TrainerOutcome | null> {
    if (this.#busy) return null;
    const message = { type: 'prove', precision: computing.precision } as const;
    return await this.#call(message, computing, { stop: kill, kill });
  }

  async close(): Promise<void> {
    await this.#process.close();
  }

  async #call(
    message: TrainerMessages['call'],
    { precision, threads }: { precision: Precision; threads: number },
    run: TrainerRun,
  ): Promise<TrainerOutcome> {
    const { stop, kill } = run;
    this.#busy = true;
    try {
      const answer = this.#process.call({ message, precision, threads, stop, kill });
      for (;;) {
        const { done, value } = await answer.next();
        if (done) return value;
        if (value.type === 'record') run.onRecord?.(value.record);
        else run.onVerification?.(value.verification);
      }
    } finally {
      this.#busy = false;
    }
  }
}

/** What a trainer of another user needs of this machine besides the base model, which the operator lets it read. */
function accessOf({ outputDir, checkpoints, trainingFile, validationFile }: TrainingRequest): Access {
  return {
    writes: [outputDir, checkpoints.dir],
    reads: validationFile ? [trainingFile, validationFile] : [trainingFile],
  };
}
