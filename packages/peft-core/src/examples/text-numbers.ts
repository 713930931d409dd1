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
