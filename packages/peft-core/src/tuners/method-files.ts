import type { HostTensor } from '../tensors/tensor-source.ts';

/** The content of a folder. */
export interface FilesRead {
  /** The config with its `peft_type` and `task_type`, as `parsePeftConfig` takes it. */
  config: Record<string, unknown> & { task_type: string };
  baseModelName: string | null;
  /** By key, as the tuner names its parameters. */
  tensors: Map<string, HostTensor>;
  /** Names of a classifier's classes, in order; null where the folder does not have them. */
  labels: string[] | null;
}

/** An adapter that is to be written. */
export interface FilesToWrite {
  baseModelName: string | null;
  /** The base model's config.json. */
  baseConfig: Record<string, unknown>;
  tensors: ReadonlyMap<string, { shape: readonly number[]; data: Float32Array }>;
  /** Names of a classifier's classes, in order; null for other tasks. */
  labels: readonly string[] | null;
}

/** The files of a method that a library other than HF PEFT reads. Graft writes README.md beside them. */
export interface MethodFiles<Config> {
  /** The version of the library whose files these are. */
  version: string;
  /** Of all files that `write` may give. */
  names: readonly string[];
  /** Whether an adapter_config.json without a `peft_type` is one of these files. */
  isOwn(raw: Record<string, unknown>): boolean;
  /** Reads a folder whose adapter_config.json is `raw`. Throws GraftErrors as `readAdapter` does. */
  read(folder: string, raw: Record<string, unknown>): Promise<FilesRead>;
  /** Text files, and tensors by key of each safetensors file, by the file's name. */
  write(
    config: Config,
    adapter: FilesToWrite,
  ): { texts: Map<string, string>; weights: Map<string, FilesToWrite['tensors']> };
}
