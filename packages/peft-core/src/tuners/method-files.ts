import type { HostTensor } from '../tensors/tensor-source.ts';

export interface FilesRead {
  /** The config with its `peft_type` and `task_type`, as input of `parsePeftConfig`. */
  config: Record<string, unknown> & { task_type: string };
  baseModelName: string | null;
  /** Tensors by the tuner's parameter names. */
  tensors: Map<string, HostTensor>;
  /** Names of a classifier's classes, in order; null if the folder has none. */
  labels: string[] | null;
}

export interface FilesToWrite {
  baseModelName: string | null;
  /** The base model's config.json. */
  baseConfig: Record<string, unknown>;
  tensors: ReadonlyMap<string, { shape: readonly number[]; data: Float32Array }>;
  /** Names of a classifier's classes, in order; null for other tasks. */
  labels: readonly string[] | null;
}

/** Reads and writes the files of a method for a library other than HF PEFT. Graft adds README.md. */
export interface MethodFiles<Config> {
  /** Version of the library that defines these files. */
  version: string;
  /** Names of all files that `write` can return. */
  names: readonly string[];
  /** Checks whether an adapter_config.json without a `peft_type` belongs to this library. */
  isOwn(raw: Record<string, unknown>): boolean;
  /** Reads a folder whose adapter_config.json is `raw`. Throws the same GraftErrors as `readAdapter`. */
  read(folder: string, raw: Record<string, unknown>): Promise<FilesRead>;
  /** Returns text files by name, and for each safetensors file its tensors by key. */
  write(
    config: Config,
    adapter: FilesToWrite,
  ): { texts: Map<string, string>; weights: Map<string, FilesToWrite['tensors']> };
}
