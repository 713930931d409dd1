import type { Overlap } from '../../config/index.ts';
import type { DataFile } from '../data-files.ts';
import type { RawExample } from '../formats/formats.ts';
import { contentOf, promptOf } from '../hold-out/prompt-place.ts';
import { DistinctCounter } from './distinct-counter.ts';

/** Slots of 12 bytes each, in each of two tables: 48 MiB in total, for a million distinct prompts that are looked up exactly. */
const MAX_SLOTS = 2 ** 21;

/** Counts the overlap of two files in bounded memory. The training file's examples must be added first. */
export class OverlapCounter {
  readonly #prompts: DistinctCounter;
  readonly #contents: DistinctCounter;
  #counts: { prompts: number; identical: number } | null = null;

  /** `maxSlots`: a power of two. */
  constructor({ maxSlots = MAX_SLOTS }: { maxSlots?: number } = {}) {
    this.#prompts = new DistinctCounter({ maxSlots });
    this.#contents = new DistinctCounter({ maxSlots });
  }

  add(example: RawExample, file: DataFile): void {
    if (file === 'training_file') {
      this.#prompts.add(promptOf(example), example.line);
      this.#contents.add(contentOf(example), example.line);
      return;
    }
    this.#counts ??= { prompts: 0, identical: 0 };
    if (this.#prompts.has(promptOf(example))) this.#counts.prompts += this.#prompts.represented;
    if (this.#contents.has(contentOf(example))) this.#counts.identical += this.#contents.represented;
  }

  /** Null without validation examples. */
  overlap(): Overlap | null {
    return this.#counts && { ...this.#counts, exact: this.#prompts.isExact && this.#contents.isExact };
  }
}
