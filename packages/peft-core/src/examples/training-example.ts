/** Stands for no target, as in transformers' losses. */
export const NO_TARGET = -100;

/** One sequence as the model takes it. */
export interface Sequence {
  ids: Int32Array;
  /** What an encoder-decoder's encoder reads; `ids` are then the decoder's. */
  input?: Int32Array;
  /** What each position predicts: the next token, or the token's class; NO_TARGET for nothing. */
  targets?: Int32Array;
  /** Of a text that is compared with others. */
  role?: 'anchor' | 'positive' | 'negative';
}

/** A line of a training file, ready for batches. */
export interface TrainingExample {
  /** One; for embeddings the two or three that are compared. A language model's lacks the last token, which is a target only. */
  sequences: Sequence[];
  /** SEQ_CLS: the class of the whole sequence. */
  label?: number;
  /** SEQ_CLS: every class of a sequence that may have several. */
  labels?: number[];
  /** The cosine that is wanted between two sequences. */
  score?: number;
  /** Tokens of the line, as users count them. */
  tokens: number;
  /** From 1. */
  line: number;
}
