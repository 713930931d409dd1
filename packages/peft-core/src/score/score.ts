/** The result for one input. The model's task determines its type. */
export type Score = { input_ids: number[] } & (LanguageScore | PairScore | ClassifierScore | EmbeddingScore);

export interface LanguageScore {
  /** Natural logarithm of each token's probability given those before it; one fewer than the tokens. */
  logprobs: number[];
}

/** The result of an encoder-decoder. */
export interface PairScore {
  labels: number[];
  /** Natural logarithm of each label's probability given the input and the labels before it. */
  logprobs: number[];
}

export interface ClassifierScore {
  /** One logit per class; for TOKEN_CLS such a list for each token. */
  logits: number[] | number[][];
}

export interface EmbeddingScore {
  /** The input's vector, pooled and normalised according to the base model's files. */
  embedding: number[];
}
