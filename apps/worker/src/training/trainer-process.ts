import type { AdapterVerification, TrainRecord } from '@graft/peft-core';
import type { Device } from '../devices.ts';
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

  constructor(options: ProcessOptions) {
    this.device = options.device;
    this.#options = options;
    this.#process = new ForkedProcess('trainer', ['finished', 'stopped'], options);
  }

  /** Of the running child, if any: for logs and tests. */
  get pid(): number | null {
    return this.#process.pid;
  }

  /** Trains one job; one at a time. `onRecord` gets its records in order, all of them before the outcome. */
  async run(request: TrainingRequest, run: TrainerRun): Promise<TrainerOutcome> {
    return await this.#call({ type: 'train', request }, run);
  }

  /** Measures a finished job's files in a child of its own, which has seen nothing of the training. */
  async verify(request: VerificationRequest, run: TrainerRun): Promise<TrainerOutcome> {
    const fresh = new TrainerProcess(this.#options);
    try {
      return await fresh.#call({ type: 'verify', request }, run);
    } finally {
      await fresh.close();
    }
  }

  async close(): Promise<void> {
    await this.#process.close();
  }

  async #call(message: TrainerMessages['call'], run: TrainerRun): Promise<TrainerOutcome> {
    const { stop, kill } = run;
    const { precision, threads } = message.request.requirements;
    const answer = this.#process.call({ message, precision, threads, stop, kill });
    for (;;) {
      const { done, value } = await answer.next();
      if (done) return value;
      if (value.type === 'record') run.onRecord?.(value.record);
      else run.onVerification?.(value.verification);
    }
  }
}
