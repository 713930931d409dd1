import type { AnsweringModel } from '../answering-program.ts';
import { BLOCK, RESERVED } from '../block-pool.ts';
import type { ServedModel } from '../served-models.ts';
import { SequenceState } from '../states/recurrent-states.ts';
import type { EncodedInput, ModelFunctions, Piece, ServingLimits } from '../step.ts';

/** Limits of a program with few sequences of `context` positions. */
export const limitsFor = (context: number, rows = 2): ServingLimits => ({
  context,
  rows,
  cacheBytes: 2 ** 24,
  updateBytes: 2 ** 20,
});

/** A single sequence in a program's cache, in blocks in reverse order. */
export class OneSequence {
  readonly #model: AnsweringModel & ModelFunctions;
  readonly #updates: Piece['updates'];
  readonly #blocks: number[];
  readonly #input: EncodedInput | null = null;
  #position: number;
  readonly #state: SequenceState | null;

  /** `input`: input of the encoder. */
  constructor(
    { model, updates }: Pick<ServedModel, 'model' | 'updates'>,
    context: number,
    input?: readonly number[],
  ) {
    const count = Math.ceil(context / BLOCK);
    if ('choose' in model) throw new Error('a model on a card gives no logits');
    this.#model = model;
    this.#updates = updates;
    this.#blocks = Array.from({ length: count }, (_, i) => RESERVED.count + count - 1 - i);
    this.#position = model.model.attachment?.prefixLength ?? 0;
    this.#state = model.model.architecture.recurrence ? new SequenceState(0) : null;
    if (input) {
      const blocks = Array.from({ length: count }, (_, i) => RESERVED.count + count + i);
      this.#input = { blocks, length: input.length };
      model.encode(input, blocks);
    }
    model.prime(this.#blocks);
  }

  /** Appends `ids`, at least one, and returns the logits `(V)` after the last. */
  append(ids: readonly number[]): Float32Array {
    const state = this.#state?.places(this.#position);
    const at = {
      start: this.#position,
      state,
      blocks: this.#blocks,
      updates: this.#updates,
      input: this.#input,
    };
    const pieces = [{ ids, length: this.#position + ids.length, ...at }];
    this.#position += ids.length;
    const hidden = this.#model.compute(pieces);
    this.#state?.advance();
    return this.#model.logits(hidden, pieces)[0]!.slice();
  }
}
