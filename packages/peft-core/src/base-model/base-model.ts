import type { TensorSource } from '../tensors/tensor-source.ts';
import type { TokenizerFiles } from '../text/tokenizer.ts';

/** A base model on disk: all small files in memory, weights read one tensor at a time. */
export interface BaseModel {
  format: 'hf' | 'gguf';
  /** The folder, or the GGUF file. */
  path: string;
  modelType: string;
  /** config.json; for GGUF it is built from the metadata. */
  config: Record<string, unknown>;
  generationConfig: Record<string, unknown> | null;
  tokenizerFiles: TokenizerFiles;
  tensors: TensorSource;
  /** Files with weights, in a fixed order. */
  weightFiles: readonly string[];
  /** SHA-256 (hex) of the weights: of the file, or of the list of the shards' digests. An unchanged file is hashed only once. */
  digest(): Promise<string>;
  close(): Promise<void>;
}

/** The format-specific part of a base model, from the reader of its format. */
export interface OpenedModel {
  format: 'hf' | 'gguf';
  path: string;
  config: Record<string, unknown>;
  generationConfig: Record<string, unknown> | null;
  tokenizerFiles: TokenizerFiles;
  tensors: TensorSource;
  /** Files with weights, in a fixed order. */
  weightFiles: string[];
  close(): Promise<void>;
}
