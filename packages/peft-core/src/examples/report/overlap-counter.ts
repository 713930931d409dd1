import type { Overlap } from '../../config/index.ts';
import type { DataFile } from '../data-files.ts';
import type { RawExample } from '../formats/formats.ts';
import { contentOf, promptOf } from '../hold-out/prompt-place.ts';
import { DistinctCounter } from './distinct-counter.ts';

/** Slots of 12 bytes each, in each of two tables: 48 MiB in total, for a million distinct prompts that are looked up exactly. */
const MAX_SLOTS = 2 ** 21;

type Counts = Pick<Overlap, 'prompts' | 'identical'>;

/** Counts the overlap of training and validation files in bounded memory. The training files' examples must be added first. */
export class OverlapCounter {
  readonly #prompts: DistinctCounter;
  readonly #contents: DistinctCounter;
  /** Counts by validation file. */
  readonly #counts: Counts[] = [];

  /** `maxSlots`: a power of two. */
  constructor({ maxSlots = MAX_SLOTS }: { maxSlots?: number } = {}) {
    this.#prompts = new DistinctCounter({ maxSlots });
    this.#contents = new DistinctCounter({ maxSlots });
  }

  /** `index`: the number of a validation file, from 0. */
  add(example: RawExample, file: DataFile, index = 0): void {
    if (file === 'training_file') {
      this.#prompts.add(promptOf(example), example.line);
      this.#contents.add(contentOf(example), example.line);
      return;
    }
    this.#counts[index] ??= { prompts: 0, identical: 0 };
    const counts = this.#counts[index];
    if (this.#prompts.has(promptOf(example))) counts.prompts += this.#prompts.represented;
    if (this.#contents.has(contentOf(example))) counts.identical += this.#contents.represented;
  }

  /** Sum over all validation files; null without validation examples. */
  overlap(): Overlap | null {
    if (this.#counts.length === 0) return null;
    const sum = (name: keyof Counts) => this.#counts.reduce((sum, counts) => sum + (counts?.[name] ?? 0), 0);
    return { prompts: sum('prompts'), identical: sum('identical'), exact: this.#isExact };
  }

  /** Overlap of one validation file; null if it has no examples. */
  overlapOf(index: number): Overlap | null {
    const counts = this.#counts[index];
    return counts ? { ...counts, exact: this.#isExact } : null;
  }

  get #isExact(): boolean {
    return this.#prompts.isExact && this.#contents.isExact;
  }
}
