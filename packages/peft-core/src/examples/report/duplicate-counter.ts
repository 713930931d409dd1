import type { Duplicates } from '../../config/index.ts';
import type { RawExample } from '../formats/formats.ts';
import { contentOf } from '../hold-out/prompt-place.ts';
import { DistinctCounter } from './distinct-counter.ts';

/** Slots of 12 bytes each: 24 MiB, for a million distinct examples that are looked up exactly. */
const MAX_SLOTS = 2 ** 21;

/** Counts the examples of several files that occur again, in bounded memory. */
export class DuplicateCounter {
  readonly #contents: DistinctCounter;
  #within = 0;
  #across = 0;

  /** `maxSlots`: a power of two. */
  constructor({ maxSlots = MAX_SLOTS }: { maxSlots?: number } = {}) {
    this.#contents = new DistinctCounter({ maxSlots });
  }

  /** `file`: the number of its file, from 0. */
  add(example: RawExample, file: number): void {
    // The number of the file in place of the line.
    const first = this.#contents.add(contentOf(example), file);
    if (first === null) return;
    if (first === file) this.#within += this.#contents.represented;
    else this.#across += this.#contents.represented;
  }

  duplicates(): Duplicates {
    return { within: this.#within, across: this.#across, exact: this.#contents.isExact };
  }
}
