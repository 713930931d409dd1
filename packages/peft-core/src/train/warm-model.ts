import { SHARED_ADAPTERS } from '../config/index.ts';
import type { TrainProgram } from './train-program.ts';

/** Digests that identify the inputs of a program. */
export interface ProgramKeys {
  /** Digest of the base's weights as stored in memory. */
  base: string;
  /** Digest of everything, including the adapter's form and the shapes. */
  program: string;
}

/** Keeps the program of the last job, so that the next job with the same base and shapes need not load the weights again. */
export class WarmModel {
  #held: { base: string; first: TrainProgram; programs: Map<string, TrainProgram> } | null = null;

  /**
   * Returns the held program if it was built for these keys. Otherwise closes it first, so that two base models are never in memory at
   * once, then holds and returns the result of `load`. With `add`, and the same base, adds another adapter to the held weights instead:
   * `add` receives the program whose weights it shares and the new adapter's number.
   */
  async open(
    keys: ProgramKeys,
    load: () => Promise<TrainProgram>,
    add?: (to: TrainProgram, number: number) => TrainProgram,
  ): Promise<TrainProgram> {
    const known = this.#held?.programs.get(keys.program) ?? this.#add(keys, add);
    if (known) return known;
    this.close();
    const first = await load();
    this.#held = { base: keys.base, first, programs: new Map([[keys.program, first]]) };
    return first;
  }

  close(): void {
    this.#held?.first.program.close();
    this.#held = null;
  }

  #add(keys: ProgramKeys, add?: (to: TrainProgram, number: number) => TrainProgram): TrainProgram | null {
    const held = this.#held;
    if (!add || !held || held.base !== keys.base || held.programs.size >= SHARED_ADAPTERS) return null;
    try {
      const added = add(held.first, held.programs.size + 1);
      held.programs.set(keys.program, added);
      return added;
    } catch {
      // It needs a fixed size that varies in the others; with its own copy of the weights it may be built otherwise.
      return null;
    }
  }
}
