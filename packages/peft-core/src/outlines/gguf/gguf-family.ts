import type { StackedNames } from '../../tensors/stacked-tensors.ts';
import type { ModelOutline } from '../outline.ts';

/** How llama.cpp stores a family. Source: llama.cpp, gguf-py/gguf/constants.py and convert_hf_to_gguf.py. */
export interface GgufFamily<Outline extends ModelOutline = ModelOutline> {
  /** `general.architecture`. */
  architecture: string;
  /** Returns true if a file of the architecture is one of this family, if several have the same. Default: it takes what the others do not. */
  isOwn?(header: GgufHeader): boolean;
  /** transformers' path of the list of blocks. */
  blocks: string;
  /** transformers' path within a block, by the part's name in GGUF: `attn_q`. */
  blockParts: Readonly<Record<string, string>>;
  /** transformers' full paths of parts outside of blocks, by the part's name in GGUF: `token_embd`. */
  otherParts: Readonly<Record<string, string>>;
  /** Weights of experts, of which a file has several tensors. */
  expertTensors?: StackedNames;
  /** Set if the rows of an expert are those of these tensors in turn. Absent: tensor by tensor. */
  alternatingExperts?: true;
  /** Set if the rows of attn_q and attn_k are interleaved, for llama.cpp's original kind of RoPE. */
  interleaved?: true;
  /** Set if 1 was added to the weights of norms, which are differences from 1 in transformers. */
  shiftedNorms?: true;
  /** Parts outside of blocks of which llama.cpp ignores updates in the file of an adapter. */
  partsWithoutUpdates?: readonly string[];
  /** Parts of a block that are parameters in transformers, without the end `.weight`. */
  bareParts?: readonly string[];
  /** Parts of a block whose weights are `(in, out)` in transformers: Conv1D. */
  transposed?: readonly string[];
  /** The pre-tokenizers that come from this family, by `tokenizer.ggml.pre`. */
  preTokenizers?: Readonly<Record<string, PreTokenizer>>;
  /** `tokenizer.ggml.model` of byte-level BPE. Only the family that gave this kind its name in llama.cpp has this field. */
  byteLevelTokenizer?: string;
  /** `tokenizer.ggml.model` of SentencePiece vocabularies with scores, as `byteLevelTokenizer`. */
  sentencePieceTokenizer?: string;
  /** llama.cpp's own kind for this family's vocabulary, of tokens with marks and merges. Absent: the family has none. */
  markedTokenizer?: MarkedTokenizer;
  /** The family's own fields of config.json. The reader adds the fields that all families have. */
  config(header: GgufHeader): Record<string, unknown>;
  /** Metadata of a model, by key without the architecture's name: the inverse of `config`. */
  fields(outline: Outline): Record<string, GgufField>;
  /** Tensors that hold a part of config.json, by name: factors of rotary positions. Absent: none. */
  tables?(outline: Outline): Record<string, Float32Array>;
  /** Part of a model that llama.cpp does not compute: the end of "llama.cpp computes no …". Null: it computes all of it. */
  missing(outline: Outline): string | null;
  /** In what a runtime differs without failing: whole sentences. Absent: in nothing. */
  notes?(outline: Outline): string[];
  /**
   * In models whose name has this pattern, llama.cpp drops the spaces after special tokens, and some versions fail without these tokens.
   * `name` has the pattern.
   */
  namedWith?: { name: string; pattern: RegExp; tokens: readonly string[] };
  /** The file must have an output matrix, also if the head is tied. */
  needsOutput?: true;
}

/** A vocabulary whose spaces are marks, with merges and without scores; llama.cpp starts every text with bos. */
export interface MarkedTokenizer {
  /** `tokenizer.ggml.model`. */
  model: string;
  /** Special tokens that are a part of answers: runtimes read calls and reasoning by them. */
  visible: readonly string[];
}

export type GgufField =
  | { type: 'u32' | 'i32' | 'f32' | 'u64'; value: number | bigint }
  | { type: 'bool'; value: boolean }
  | { type: 'string'; value: string }
  | { type: 'strings'; value: readonly string[] }
  | { type: 'bools'; value: readonly boolean[] }
  | { type: 'i32s' | 'u32s' | 'f32s'; value: ArrayLike<number> };

/** The metadata of a GGUF file. Keys are given without the architecture's name and the dot after it. */
export interface GgufHeader {
  /** An integer; undefined if the file has no such key. */
  count(key: string): number | undefined;
  /** An integer. Throws `invalid_gguf`, which names the key, if the file has none. */
  size(key: string): number;
  /** The shortest decimal that rounds to the stored float32. Throws like `size`. */
  decimal(key: string): number;
  /** As `decimal`; undefined if the file has no such key. */
  optionalDecimal(key: string): number | undefined;
  /** Integers: of a list, or one that is not in a list; undefined if the file has no such key. */
  counts(key: string): number[] | undefined;
  /** A list of booleans; undefined if the file has no such key. */
  flags(key: string): boolean[] | undefined;
  hasTensor(name: string): boolean;
  /** Number of rows of a tensor; undefined if the file has none of this name. */
  rows(name: string): number | undefined;
  /** The divisors of frequencies in the tensor FREQUENCY_FACTORS; null if the file has none. */
  frequencyFactors: Float32Array | null;
  /** `rope_theta` and `rope_scaling` for heads of this size. Throws `unsupported_model` for a scaling that config.json cannot express. */
  rope(headSize: number): { rope_scaling: Record<string, unknown> | null; rope_theta: number };
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
  /** True if a text starts with the bos token where the file does not specify it. */
  addBos?: true;
}
