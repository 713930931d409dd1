import type { TrainProgram } from './train-program.ts';

/** The program of the last job, kept so that the next one with the same base and shapes starts without loading weights again. */
export class WarmModel {
  #key: string | null = null;
  #held: TrainProgram | null = null;

  /** The held program if it was made for `key`; otherwise lets go of it, so that two bases are never in memory at once. */
  take(key: string): TrainProgram | null {
    if (this.#key === key && this.#held) return this.#held;
    this.close();
    return null;
  }

  keep(key: string, program: TrainProgram): void {
    this.#key = key;
    this.#held = program;
  }

  close(): void {
    this.#held?.program.close();
    this.#held = null;
    this.#key = null;
  }
}
