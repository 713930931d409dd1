import { GraftError } from '../errors.ts';
import type { TrainingExample } from './training-example.ts';

/** A text by its tokens: two that no model can tell apart are one. */
export const textKey = (ids: Int32Array): string =>
  Buffer.from(ids.buffer, ids.byteOffset, ids.byteLength).toString('latin1');

/** Numbers of texts: the same for the same text. */
export class TextNumbers {
  readonly #numbers = new Map<string, number>();
  readonly #apart: boolean;
  #next = 0;

  /** `apart`: texts that are the same get numbers of their own too, as versions without `mini_batch_size` held them to be others. */
  constructor(apart = false) {
    this.#apart = apart;
  }

  of(ids: Int32Array): number {
    if (this.#apart) return this.#next++;
    const key = textKey(ids);
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    this.#numbers.set(key, this.#next);
    return this.#next++;
  }
}

/** What a pair without a `negative` has to be told from: other pairs of its batch; nothing, where a batch is one pair. */
export type Contrast = 'batch' | 'negatives';

/**
 * Whether pairs that come one by one can teach anything by contrast. Pairs that have a text in common are no negatives of each other
 * (`contrastiveLoss`), so something is learnt only where two of them have none, or where one has a `negative`.
 */
export class PairContrast {
  /** Texts that all pairs so far have. */
  #common: Set<string> | null = null;
  /** Up to four of all texts: three pairs of three texts can have one in common two by two, more cannot. */
  readonly #texts = new Set<string>();
  #hasNegative = false;
  #hasOneText = false;

  add({ sequences }: Pick<TrainingExample, 'sequences'>): void {
    if (sequences.length > 2) this.#hasNegative = true;
    if (this.#hasNegative) return;
    const texts = new Set(sequences.map(({ ids }) => textKey(ids)));
    const common = this.#common;
    this.#common = common ? new Set([...common].filter((text) => texts.has(text))) : texts;
    if (texts.size === 1) this.#hasOneText = true;
    for (const text of texts) if (this.#texts.size < 4) this.#texts.add(text);
  }

  /** Throws GraftError `data_unfit_for_task` or `invalid_training_option` (`training.batch_size`) where nothing is learnt. */
  check(contrast: Contrast): void {
    if (this.#hasNegative || !this.#common) return;
    const isTriangle = this.#texts.size < 4 && !this.#hasOneText;
    if (this.#common.size > 0 || isTriangle) {
      throw new GraftError(
        'data_unfit_for_task',
        'nothing can be learnt from these pairs: an anchor is told from the texts of other pairs, and any two of these have a text in common; add pairs of other texts, or a "negative" to each',
        { param: 'training_file' },
      );
    }
    if (contrast === 'batch') return;
    throw new GraftError(
      'invalid_training_option',
      'training.batch_size: is 1, and the pairs have no "negative", so that an anchor has no text to be told from and nothing is learnt; use 2 or more (automatic: 32), with training.mini_batch_size 1 where memory is short',
      { param: 'training.batch_size' },
    );
  }
}
