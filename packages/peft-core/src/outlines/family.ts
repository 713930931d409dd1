import type { DefaultTargets, ModelOutline, TaskType } from './outline.ts';

/**
 * All that is known of a model family without TensorFlow. A decoder with rotary positions, RMSNorm and a gated feed-forward network
 * is one row in `outlines/decoders.ts`. Any other family is two files and two rows: this object in `outlines/<model_type>.ts` with its
 * row in `outlines/families.ts`, and the forward pass in `models/<model_type>.ts` with its row in `models/registry.ts`. Nothing else
 * names it. Encoders share `outlines/encoder.ts`.
 */
export interface Family<Outline extends ModelOutline = ModelOutline> {
  /** Hugging Face's `model_type`, and the name of both files where it has two. */
  modelType: string;
  /** What the names of transformers' classes begin with: the part before `ForCausalLM`. */
  className: string;
  /** transformers' class for a task, where it is not `<className>For…`, or `<className>Model` for FEATURE_EXTRACTION. */
  classes?: Partial<Record<TaskType, string>>;
  /** The task of a base model whose config.json does not name the class that it was saved from. */
  defaultTask: TaskType;
  /**
   * Reads config.json for a task: sizes, weights and modules under transformers' names. The forward pass takes its sizes from here.
   * Throws `invalid_model_config` naming every field that is missing or unfit, `unsupported_model`, `unsupported_task`.
   */
  outline(config: Record<string, unknown>, task: TaskType): Outline;
  /**
   * transformers' base_model_prefix and a dot, such as `model.`: names of the body begin with it in a model with a head. A
   * checkpoint may leave it out.
   */
  optionalPrefix: string;
  /** Which token's state is the vector of a sequence, or the mean of all; files of sentence-transformers come before this. */
  pooling: 'first' | 'last' | 'mean';
  /** By `peft_type`: what the method adapts when its config does not say. A method that is absent has no default. */
  defaultTargets: DefaultTargets;
  /**
   * Learning rates fall with this power of the width (`rateByWidth`). Absent where it is not known.
   * Source of decoders' powers: Schulman et al. 2025, Thinking Machines, who fitted two families. That of encoders gives what npm run
   * sweep found at a width of 384, and near the 5e-4 and 4e-4 at which Hu et al. 2021 train such of 768 and 1,024.
   */
  rateExponent?: number;
  /**
   * Modules that transformers always ties to the input embedding, except those whose weights the checkpoint
   * holds apart. The config that `outline` gets lists these under UNTIED_WEIGHTS.
   */
  tiedByClass?: string[];
  /** Fields of config.json beside `tie_word_embeddings: false` when a tied head gets a weight of its own. `config` is the base model's. */
  untiedFields?(config: Record<string, unknown>): Record<string, unknown>;
  /**
   * For a family that the `adapters` library has no classes for and reaches by hooks: `interface` of adapter_interface.json, without
   * `adapter_methods`.
   */
  adaptersInterface?: Record<string, unknown>;
  /** Absent when Graft reads no GGUF files of the family. */
  gguf?: GgufFamily;
}

/**
 * A field that the reader of a checkpoint adds to config.json: names of the `tiedByClass` weights that the checkpoint holds apart.
 * Graft's own, never written to a file.
 */
export const UNTIED_WEIGHTS = 'untied_weights';

/** How llama.cpp stores a family. Source: llama.cpp, gguf-py/gguf/constants.py and convert_hf_to_gguf.py. */
export interface GgufFamily {
  /** `general.architecture`. */
  architecture: string;
  /** transformers' path of the list of blocks. */
  blocks: string;
  /** transformers' path within a block, by GGUF's name of the part: `attn_q`. */
  blockParts: Readonly<Record<string, string>>;
  /** The same outside of blocks, whole paths: `token_embd`. */
  otherParts: Readonly<Record<string, string>>;
  /** Rows of attn_q and attn_k are interleaved, as llama.cpp's first kind of rope takes them. */
  interleaved?: true;
  /** Parts of a block whose weights transformers has as `(in, out)`: Conv1D. */
  transposed?: readonly string[];
  /** By `tokenizer.ggml.pre`: the pre-tokenizers that come from this family. */
  preTokenizers?: Readonly<Record<string, PreTokenizer>>;
  /** `tokenizer.ggml.model` of byte-level BPE. Only the family after which llama.cpp calls it has this. */
  byteLevelTokenizer?: string;
  /** The family's own fields of config.json. Those that every family has are added by the reader. */
  config(header: GgufHeader): Record<string, unknown>;
}

/** The metadata of a GGUF file. Keys lack the architecture's name and its dot. */
export interface GgufHeader {
  /** A whole number; undefined when the file has no such key. */
  count(key: string): number | undefined;
  /** A whole number. Throws `invalid_gguf` naming the key when the file has none. */
  size(key: string): number;
  /** The shortest decimal that rounds to the stored float32. Throws like `size`. */
  decimal(key: string): number;
  hasTensor(name: string): boolean;
  /** `rope_theta` and `rope_scaling` for heads of this size. Throws `unsupported_model` for a scaling that config.json cannot hold. */
  rope(headSize: number): Record<string, unknown>;
}

/** How text is prepared and cut before byte-level BPE. */
export interface PreTokenizer {
  /** A regular expression: what it matches, and what lies between, are words. Without it, that of ByteLevel itself. */
  pattern?: string;
  /** Every digit is a word of its own. */
  digitsApart?: true;
  /** The Unicode form that text is brought into first. */
  normalizer?: 'NFC';
  /** A word that is a token as a whole is not built up by merges. */
  ignoreMerges?: true;
  /** A text begins with the bos token when the file does not say whether. */
  addBos?: true;
}

/** The members that a model's outline takes over from its family. */
export function fromFamily(family: Family) {
  const { modelType, optionalPrefix, pooling, defaultTargets, rateExponent, tiedByClass, adaptersInterface } =
    family;
  return {
    modelType,
    optionalPrefix,
    pooling,
    defaultTargets,
    ...(rateExponent !== undefined && { rateExponent }),
    ...(tiedByClass && { tiedByClass }),
    ...(adaptersInterface && { adaptersInterface }),
  };
}
