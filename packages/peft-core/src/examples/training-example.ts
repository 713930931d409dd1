/** Marks a position without a target, as in transformers' losses. */
export const NO_TARGET = -100;

export interface Sequence {
  ids: Int32Array;
  /** Input of an encoder-decoder's encoder; `ids` are then the decoder's. */
  input?: Int32Array;
  /** The target of each position: the next token, or the token's class; NO_TARGET for none. */
  targets?: Int32Array;
  /** Weight of each target in the loss, besides that of its example; absent: 1. */
  weights?: Float32Array;
  /** For reports: role of each token, those of `ids` and the last target, as an index of PART_ROLES. */
  roles?: Uint8Array;
  /** Number of tokens at the start that are a prompt's, special tokens before it included; absent: 0. */
  promptLength?: number;
  /** Role of a text that is compared with others. */
  role?: 'anchor' | 'positive' | 'negative';
}

export interface TrainingExample {
  /**
   * One; for embeddings the two or three texts that are compared; for preferences the chosen and the rejected completion of a prompt, each
   * with the prompt before it. A language model's lacks the last token, which is only a target.
   */
  sequences: Sequence[];
  /** SEQ_CLS: the class of the whole sequence. */
  label?: number;
  /** SEQ_CLS: every class of a sequence that may have several. */
  labels?: number[];
  /** The target cosine of two sequences. */
  score?: number;
  /** True if the first of two completions is desirable; undefined: it is preferred to the second. */
  isDesirable?: boolean;
  /** Log-probabilities of the two completions under the reference model, each a sum over tokens; absent: 0. */
  reference?: readonly [number, number];
  /** Weight in the loss, greater than 0; absent: 1. */
  weight?: number;
  /** Number of tokens in the line, as shown to users. */
  tokens: number;
  /** Line number, from 1. */
  line: number;
}
