/** The result for one input. The model's task decides which it is. */
export type Score = { input_ids: number[] } & (LanguageScore | PairScore | ClassifierScore | EmbeddingScore);

export interface LanguageScore {
  /** Natural logarithm of each token's probability given those before it; one fewer than the tokens. */
  logprobs: number[];
}

/** Of an encoder-decoder. */
export interface PairScore {
  labels: number[];
  /** Natural logarithm of each label's probability given the input and the labels before it. */
  logprobs: number[];
}

export interface ClassifierScore {
  /** Of each class; for TOKEN_CLS one such list for each token. */
  logits: number[] | number[][];
}

export interface EmbeddingScore {
  /** The input's vector, pooled and normalised as the base model's files say. */
  embedding: number[];
}
