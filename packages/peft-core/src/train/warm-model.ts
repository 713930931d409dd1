import { SHARED_ADAPTERS } from '../config/index.ts';
import type { TrainProgram } from './train-program.ts';

/** What a program was made for. */
export interface ProgramKeys {
  /** Of the base's weights as they lie in memory. */
  base: string;
  /** Of all, the adapter's form and the shapes included. */
  program: string;
}

/** The program of the last job, kept so that the next one with the same base and shapes starts without loading weights again. */
export class WarmModel {
  #held: { base: string; first: TrainProgram; programs: Map<string, TrainProgram> } | null = null;

  /**
   * The held program if it was made for these keys. Otherwise closes it first, so that two base models are never in memory at once, and
   * holds what `load` makes. With `add` another adapter goes on the same base's weights instead: the program that it answers shares
   * those of the one it is given, as number so many.
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
      // It needs a size that varies in the others: alone on its weights it may be made otherwise.
      return null;
    }
  }
}
