import type { PeftConfig, ResolvedTraining } from '../config/index.ts';
import type { ExampleSize } from '../examples/batches/example-size.ts';
import type { FormatName } from '../examples/formats/formats.ts';
import type { UnreadColumnOf } from '../examples/read-examples.ts';

/** Sizes of some examples of a job, and the total number of examples. */
export interface DataSample {
  format: FormatName;
  /** A classifier's classes; null for other tasks. */
  labels: readonly string[] | null;
  training: ExampleSample;
  /** Columns of the files, or of the part of them that was read, that no example reads; absent: not known. */
  unread?: readonly UnreadColumnOf[];
  /** Null without validation data; if it is split off the training file, `training` is the rest. */
  validation: ExampleSample | null;
}

export interface ExampleSample {
  examples: number;
  /** Sizes of all examples, or of those that were read. Not empty. */
  sizes: ExampleSize[];
}

export interface Machine {
  device: 'cpu' | 'gpu';
  /** Precision of the job's matrix products on this machine. */
  precision: 'fp32' | 'bf16';
  threads: number;
  /** True if layers use Graft's kernels, which compute common prefixes once; else they use TensorFlow's operations. */
  kernels: boolean;
  /** Multiplications and additions per second in large matrix products, in that precision; null: not measured. */
  flops: number | null;
}

export interface EstimatedJob {
  modelConfig: Record<string, unknown>;
  peft: PeftConfig;
  training: ResolvedTraining;
  /** `method.type` of the request. Absent: the default of the data's format. */
  method?: string;
  data: DataSample;
}

export interface TrainingEstimate {
  trainableParameters: number;
  totalParameters: number;
  /** Peak memory of the trainer's process: main memory, or GPU memory if it trains on a GPU. */
  peakMemoryBytes: number;
  /** Tokens of all epochs, counted as in training. */
  tokens: number;
  steps: number;
  /** From opening the job's files to writing those of the adapter; null if the machine's speed is not known. */
  seconds: number | null;
}
