import type { TrainProgram } from './train-program.ts';

/** The program of the last job, kept so that the next one with the same base and shapes starts without loading weights again. */
export class WarmModel {
  #held: { key: string; built: TrainProgram } | null = null;

  /**
   * The held program if it was made for `key`. Otherwise closes it first, so that two base models are never in memory at once, and
   * holds what `make` makes.
   */
  async open(key: string, make: () => Promise<TrainProgram>): Promise<TrainProgram> {
    if (this.#held?.key !== key) {
      this.close();
      this.#held = { key, built: await make() };
    }
    return this.#held.built;
  }

  close(): void {
    this.#held?.built.program.close();
    this.#held = null;
  }
}
