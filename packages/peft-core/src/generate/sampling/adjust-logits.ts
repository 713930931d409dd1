/** Changes of logits by request, as in OpenAI's API. */
export interface LogitOptions {
  bias: ReadonlyMap<number, number>;
  /** Subtracted from a token's logit for each time that it occurs in the answer. */
  frequencyPenalty: number;
  /** Subtracted once from the logits of tokens that occur in the answer. */
  presencePenalty: number;
}

/** Added to the logit of a token that is not allowed: its probability is then 0 in double precision, and its logit still finite. */
export const EXCLUDED = -1e30;

/** Terms that are added to the logits of an answer's next token. */
export class LogitChanges {
  readonly #options: LogitOptions;
  /** Number of times that each token occurs in the answer. */
  readonly #counts = new Map<number, number>();
  /** By token. */
  readonly #added: Map<number, number>;

  constructor(options: LogitOptions) {
    this.#options = options;
    this.#added = new Map(options.bias);
  }

  count(token: number): void {
    const { bias, frequencyPenalty, presencePenalty } = this.#options;
    if (frequencyPenalty === 0 && presencePenalty === 0) return;
    const count = (this.#counts.get(token) ?? 0) + 1;
    this.#counts.set(token, count);
    this.#added.set(token, (bias.get(token) ?? 0) - frequencyPenalty * count - presencePenalty);
  }

  /**
   * Terms to add to logits `(V)`; null for nothing. `mask`: bits of the allowed tokens, null for all. `barred`: tokens that are not allowed.
   */
  added(vocabulary: number, mask: Int32Array | null, barred: Iterable<number> = []): Float32Array | null {
    const without = [...barred];
    if (this.#added.size === 0 && mask === null && without.length === 0) return null;
    const added = new Float32Array(vocabulary);
    for (const [token, change] of this.#added) if (token < vocabulary) added[token] = change;
    for (const token of without) added[token] = EXCLUDED;
    if (mask)
      for (let token = 0; token < vocabulary; token++)
        if (((mask[token >> 5]! >> (token & 31)) & 1) === 0) added[token] = EXCLUDED;
    return added;
  }
}

/** Logits `(V)` with `added`, in float32. Does not modify its arguments. */
export function adjusted(logits: Float32Array, added: Float32Array | null): Float32Array {
  return added === null ? logits : logits.map((logit, token) => logit + added[token]!);
}
