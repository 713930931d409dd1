import type { Sequence } from './training-example.ts';

/** The tokens of a text without those of its prompt, so that a text is the same as anchor and as positive. */
export const textOf = ({ ids, promptLength = 0 }: Pick<Sequence, 'ids' | 'promptLength'>): Int32Array =>
  ids.subarray(promptLength);

/** Identifies a text by its tokens: texts with the same tokens are the same for a model. */
export const textKey = (ids: Int32Array): string =>
  Buffer.from(ids.buffer, ids.byteOffset, ids.byteLength).toString('latin1');

/** Numbers texts: equal texts get equal numbers. */
export class TextNumbers {
  readonly #numbers = new Map<string, number>();
  readonly #apart: boolean;
  #next = 0;

  /** `apart`: equal texts get different numbers, as versions without `mini_batch_size` treated them. */
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
