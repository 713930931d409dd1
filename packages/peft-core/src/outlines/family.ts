import type { StackedNames } from '../tensors/stacked-tensors.ts';
import type { DefaultTargets, ModelOutline, TaskType } from './outline.ts';

/**
 * The description of a model family without TensorFlow. A decoder with rotary positions, RMSNorm and a gated feed-forward network
 * is one row in `outlines/decoders.ts`. Any other family is two files and two rows: this object in `outlines/<model_type>.ts` with its
 * row in `outlines/families.ts`, and the forward pass in `models/<model_type>.ts` with its row in `models/registry.ts`. No other code
 * names a family. Encoders share `outlines/encoder.ts`.
 */
export interface Family<Outline extends ModelOutline = ModelOutline> {
  /** Hugging Face's `model_type`, and the name of the family's files if it has its own. */
  modelType: string;
  /** The part of transformers' class names before `ForCausalLM`. */
  className: string;
  /** transformers' class for a task, if it is not `<className>For…`, or `<className>Model` for FEATURE_EXTRACTION. */
  classes?: Partial<Record<TaskType, string>>;
  /** The task of a base model whose config.json does not name the class that saved it. */
  defaultTask: TaskType;
  /**
   * Reads config.json for a task: sizes, weights and modules under transformers' names. The forward pass gets its sizes from here.
   * Throws `invalid_model_config`, which names every missing or invalid field, `unsupported_model`, `unsupported_task`.
   */
  outline(config: Record<string, unknown>, task: TaskType): Outline;
  /**
   * transformers' base_model_prefix and a dot, such as `model.`: the prefix of the body's names in a model with a head. A
   * checkpoint may omit it.
   */
  optionalPrefix: string;
  /** The default pooling: the state of the first or last token, or the mean of all; files of sentence-transformers override it. */
  pooling: 'first' | 'last' | 'mean';
  /** By `peft_type`: the default target modules. A method without an entry has no default. */
  defaultTargets: DefaultTargets;
  /**
   * Learning rates fall with this power of the width (`rateByWidth`). Absent if unknown.
   * Source for decoders: Schulman et al. 2025, Thinking Machines, who fitted two families. The value for encoders follows npm run
   * sweep at a width of 384, and is near the 5e-4 and 4e-4 with which Hu et al. 2021 train encoders of 768 and 1,024.
   */
  rateExponent?: number;
  /**
   * Modules that transformers always ties to the input embedding, unless the checkpoint holds separate weights for them.
   * The config passed to `outline` lists those with separate weights under UNTIED_WEIGHTS.
   */
  tiedByClass?: string[];
  /** Fields of config.json, beside `tie_word_embeddings: false`, when a tied head gets a separate weight. `config` is the base model's. */
  untiedFields?(config: Record<string, unknown>): Record<string, unknown>;
  /**
   * For a family that the `adapters` library supports by hooks instead of dedicated classes: `interface` of adapter_interface.json,
   * without `adapter_methods`. Null: the library has neither classes nor an interface for the family.
   */
  adaptersInterface?: Record<string, unknown> | null;
  /** As in `ModelOutline`. */
  formerModules?: Readonly<Record<string, string>>;
  /** Weights of experts of which checkpoints may have several tensors. */
  expertTensors?: StackedNames;
  /** Set if mlx-lm's models of the family have the same module names, so that it reads their adapters. Source: mlx_lm/models. */
  mlxAdapters?: true;
  /** Absent if Graft reads no GGUF files of the family. */
  gguf?: GgufFamily;
}

/**
 * A field that the reader of a checkpoint adds to config.json: names of the `tiedByClass` weights that the checkpoint stores
 * separately. Only Graft uses this field; it is never written to a file.
 */
export const UNTIED_WEIGHTS = 'untied_weights';

/** How llama.cpp stores a family. Source: llama.cpp, gguf-py/gguf/constants.py and convert_hf_to_gguf.py. */
export interface GgufFamily {
  /** `general.architecture`. */
  architecture: string;
  /** transformers' path of the list of blocks. */
  blocks: string;
  /** transformers' path within a block, by the part's name in GGUF: `attn_q`. */
  blockParts: Readonly<Record<string, string>>;
  /** transformers' full paths of parts outside of blocks, by the part's name in GGUF: `token_embd`. */
  otherParts: Readonly<Record<string, string>>;
  /** Weights of experts, of which a file has several tensors. */
  expertTensors?: StackedNames;
  /** Set if the rows of attn_q and attn_k are interleaved, for llama.cpp's original kind of RoPE. */
  interleaved?: true;
  /** Set if 1 was added to the weights of norms, which are differences from 1 in transformers. */
  shiftedNorms?: true;
  /** Parts of a block whose weights are `(in, out)` in transformers: Conv1D. */
  transposed?: readonly string[];
  /** The pre-tokenizers that come from this family, by `tokenizer.ggml.pre`. */
  preTokenizers?: Readonly<Record<string, PreTokenizer>>;
  /** `tokenizer.ggml.model` of byte-level BPE. Only the family that gave this kind its name in llama.cpp has this field. */
  byteLevelTokenizer?: string;
  /** `tokenizer.ggml.model` of SentencePiece vocabularies with scores, as `byteLevelTokenizer`. */
  sentencePieceTokenizer?: string;
  /** The family's own fields of config.json. The reader adds the fields that all families have. */
  config(header: GgufHeader): Record<string, unknown>;
}

/** The metadata of a GGUF file. Keys are given without the architecture's name and the dot after it. */
export interface GgufHeader {
  /** An integer; undefined if the file has no such key. */
  count(key: string): number | undefined;
  /** An integer. Throws `invalid_gguf`, which names the key, if the file has none. */
  size(key: string): number;
  /** The shortest decimal that rounds to the stored float32. Throws like `size`. */
  decimal(key: string): number;
  hasTensor(name: string): boolean;
  /** `rope_theta` and `rope_scaling` for heads of this size. Throws `unsupported_model` for a scaling that config.json cannot express. */
  rope(headSize: number): Record<string, unknown>;
}

/** How text is normalised and split into words before byte-level BPE. */
export interface PreTokenizer {
  /** A regular expression: its matches, and the text between them, are words. Absent: the pattern of ByteLevel. */
  pattern?: string;
  /** Every digit is a separate word. */
  digitsApart?: true;
  /** Unicode normalisation form applied to the text first. */
  normalizer?: 'NFC';
  /** A word that is itself a token is not built by merges. */
  ignoreMerges?: true;
  /** Whether a text starts with the bos token if the file does not specify it. */
  addBos?: true;
}

/** The members that a model's outline takes from its family. */
export function fromFamily(family: Family) {
  const { modelType, optionalPrefix, pooling, defaultTargets, rateExponent, tiedByClass, adaptersInterface } =
    family;
  const { formerModules } = family;
  return {
    modelType,
    optionalPrefix,
    pooling,
    defaultTargets,
    ...(rateExponent !== undefined && { rateExponent }),
    ...(tiedByClass && { tiedByClass }),
    ...(formerModules && { formerModules }),
    ...(adaptersInterface !== undefined && { adaptersInterface }),
  };
}
