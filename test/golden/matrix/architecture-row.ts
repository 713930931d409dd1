import type { TaskType } from '@graft/peft-core/outlines';

/** A tiny model of one architecture for one task; every row meets every method of methods.ts. */
export interface ArchitectureRow {
  name: string;
  task: TaskType;
  /** Fields of config.json, model_type included; vocab_size comes from the tokenizer. */
  config: Record<string, unknown>;
  /** Seed of the weights, where with the usual seed the model does not learn in a few steps, or its experts are nearly equal for a token. */
  seed?: number;
  /** Set where finite differences reach over corners: of ReLUs, or where a token's experts change. */
  corners?: true;
  /**
   * Set where the loss jumps when a token's experts change, so that finite differences mean nothing: it counts the tokens of each expert,
   * or every layer has experts, and some are nearly equal for a token. The steps that are compared with PyTorch's check the gradient.
   */
  jumps?: true;
  /** Set where the padding token is one that the data has. */
  paddingInData?: true;
  /** The tasks besides CAUSAL_LM that transformers has classes for; absent: SEQ_CLS, TOKEN_CLS and FEATURE_EXTRACTION. */
  otherTasks?: TaskType[];
  /** Set where other rows try the same layers and the same head: few methods are tried, see rules.ts. */
  sampled?: true;
  /** Module names, by the end of their path. */
  names: {
    /** Two projections of attention: LoRA's usual targets. */
    attention: string[];
    /** Modules that IA3 scales by default: keys and values, and the feed-forward network's input of its last layer. */
    ia3: string[];
    feedForward: string[];
    /** A module that holds the feed-forward network of a layer. */
    feedForwardContainer: string;
    norms: string[];
    /** Parameters that hold the matrices of experts. */
    experts?: string[];
    /** True where `attention` and `feedForward` have biases. */
    biased: boolean;
    embedding: string;
    /** The output layer of a language model, or null. */
    head: string | null;
    /** A bias-free output layer that is not tied, or null. */
    untiedHead: string | null;
  };
}
