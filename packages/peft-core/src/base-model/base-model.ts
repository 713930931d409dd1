import type { TensorSource } from '../tensors/tensor-source.ts';
import type { TokenizerFiles } from '../text/tokenizer.ts';

/** A base model on disk: everything small in memory, weights read one tensor at a time. */
export interface BaseModel {
  format: 'hf' | 'gguf';
  /** The folder, or the GGUF file. */
  path: string;
  /** Hugging Face's `model_type`. */
  modelType: string;
  /** config.json, also for GGUF, where it is made from the metadata. */
  config: Record<string, unknown>;
  generationConfig: Record<string, unknown> | null;
  tokenizerFiles: TokenizerFiles;
  tensors: TensorSource;
  /** Files that hold weights, in a fixed order. */
  weightFiles: readonly string[];
  /** SHA-256 (hex) of the weights: of the file, or of the list of shards' digests. Hashed once per state of a file. */
  digest(): Promise<string>;
  close(): Promise<void>;
}

/** What the reader of one format finds; the rest of BaseModel is the same for all. */
export interface OpenedModel {
  format: 'hf' | 'gguf';
  path: string;
  config: Record<string, unknown>;
  generationConfig: Record<string, unknown> | null;
  tokenizerFiles: TokenizerFiles;
  tensors: TensorSource;
  /** Files that hold weights, in a fixed order. */
  weightFiles: string[];
  close(): Promise<void>;
}
