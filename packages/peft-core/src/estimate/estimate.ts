import type { PeftConfig, ResolvedTraining } from '../config/index.ts';
import type { ExampleSize } from '../examples/batches/plan-batches.ts';
import type { FormatName } from '../examples/formats/formats.ts';

/** Sizes of some examples of a job, and how many it has. */
export interface DataSample {
  format: FormatName;
  /** A classifier's classes; null for other tasks. */
  labels: readonly string[] | null;
  training: ExampleSample;
  /** Null without validation data; where it is split off the training file, `training` is what remains. */
  validation: ExampleSample | null;
}

export interface ExampleSample {
  /** All of them. */
  examples: number;
  /** Of all of them, or of as many as were looked at. Not empty. */
  sizes: ExampleSize[];
}

/** What a worker says of the machine that trains. */
export interface Machine {
  device: 'cpu' | 'gpu';
  /** What the job's matrix products are computed in there. */
  precision: 'fp32' | 'bf16';
  threads: number;
  /** Whether layers are Graft's own kernels there, which take what examples have in common once; else TensorFlow's operations. */
  kernels: boolean;
  /** Multiplications and additions of large matrix products in a second, in that precision; null: not measured. */
  flops: number | null;
}

export interface EstimatedJob {
  /** The base model's config.json. */
  modelConfig: Record<string, unknown>;
  peft: PeftConfig;
  training: ResolvedTraining;
  /** `method.type` of the request. Absent: the default of the data's format. */
  method?: string;
  data: DataSample;
}

/** What a job comes to before it runs. */
export interface TrainingEstimate {
  trainableParameters: number;
  totalParameters: number;
  /** The most that the trainer's process holds at once: of the machine's memory, or where a GPU trains, of that card's. */
  peakMemoryBytes: number;
  /** Of all epochs, as they are counted while training. */
  tokens: number;
  /** Optimizer steps. */
  steps: number;
  /** From opening the job's files to the adapter's own; null where the machine's speed is not known. */
  seconds: number | null;
}
