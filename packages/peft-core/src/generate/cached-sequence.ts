import { type AnsweringModel, STRIDES } from './generation-program.ts';

/** The sequence in a program's cache; its first token comes after a method's prefix. */
export class CachedSequence {
  readonly #model: AnsweringModel;
  readonly #context: number;
  #position: number;

  constructor(model: AnsweringModel, context: number) {
    this.#model = model;
    this.#context = context;
    this.#position = model.model.attachment?.prefixLength ?? 0;
  }

  /** Appends `ids`, of which there is at least one, and gives the logits `(V)` after the last. */
  append(ids: readonly number[]): Float32Array {
    let logits: Float32Array | undefined;
    for (let taken = 0; taken < ids.length; ) {
      const left = ids.length - taken;
      const wide = STRIDES.find((s) => s >= left) ?? STRIDES.at(-1)!;
      // Near the cache's end, where a whole run does not fit, tokens are taken one by one.
      const stride = this.#position + wide > this.#context ? 1 : wide;
      const chunk = ids.slice(taken, taken + stride);
      logits = this.#model.extend(stride, chunk, this.#position);
      taken += chunk.length;
      this.#position += chunk.length;
    }
    return logits!;
  }
}
