import type { FileTensor } from './file-tensors.ts';

/** One of the adapters that are combined. */
export interface CombinedAdapter<Config> {
  /** What messages call it. */
  name: string;
  config: Config;
  weight: number;
}

/** How the files of a combination are computed, a few tensors at a time. */
export interface CombinationPlan<Config> {
  config: Config;
  groups: CombinedTensors[];
  /** Copies of the base model's tensors, which are taken from the first adapter if it has them. */
  copied: FileTensor[];
}

/** Tensors that are computed together. */
export interface CombinedTensors {
  tensors: FileTensor[];
  /** Returns the values of `tensors`. `read` returns a tensor of one of the adapters, by its index. */
  compute(read: (adapter: number, tensor: FileTensor) => Promise<Float32Array>): Promise<Float32Array[]>;
}
