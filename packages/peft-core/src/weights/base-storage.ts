/** How the frozen base is stored, by `training.base_dtype`. Loads no TensorFlow. */
import type { DType } from '@graft/tf-graph';
import type { ResolvedTraining } from '../config/index.ts';
import type { ModelOutline, ParameterSpec } from '../outlines/outline.ts';
import { elementCount } from '../tensors/tensor-source.ts';
import { dequantiseInt8, quantiseInt8 } from './quantise/int8.ts';
import { dequantiseNf4, nf4Bytes, quantiseNf4 } from './quantise/nf4.ts';

export type BaseStorage = 'float32' | 'bfloat16' | 'int8' | 'nf4';

/** Bytes of float32 unpacked at a time, for a layer that reads a weight in slices. Larger on a GPU, where each kernel launch has a cost. */
export const SLICE_BYTES = { cpu: 16 << 20, gpu: 256 << 20 };

/** The storage for `training.base_dtype`. "auto" follows the precision of matrix products. */
export function baseStorage(wanted: ResolvedTraining['base_dtype'], precision: 'fp32' | 'bf16'): BaseStorage {
  switch (wanted) {
    case 'auto':
      return precision === 'bf16' ? 'bfloat16' : 'float32';
    case 'fp32':
      return 'float32';
    case 'bf16':
      return 'bfloat16';
    case 'int8':
    case 'nf4':
      return wanted;
  }
}

export interface StoredWeight {
  name: string;
  shape: number[];
  storage: BaseStorage;
  /** True where a linear matrix is `(in, out)`. */
  transposed: boolean;
}

/**
 * The storage of every frozen weight. Linear matrices, those of experts among them, and embedding tables are quantised; norms, biases,
 * routers and other parameters stay float32. With nf4 the vocabulary's head and the embeddings are int8; the paper of nf4, arXiv:2305.14314, does not
 * quantise them.
 */
export function storedWeights(
  outline: ModelOutline,
  storage: BaseStorage,
  withHead: boolean,
): StoredWeight[] {
  const modules = new Map(outline.modules.map((module) => [`${module.name}.weight`, module]));
  const storageOf = ({ name, shape, experts }: ParameterSpec): BaseStorage => {
    if (storage === 'float32' || shape.length < 2) return 'float32';
    if (storage === 'bfloat16' || experts) return storage;
    const module = modules.get(name);
    if (module?.kind !== 'linear' && module?.kind !== 'embedding') return 'float32';
    const vocabularyWide = module.kind === 'embedding' || module.out === outline.vocabularySize;
    return vocabularyWide ? 'int8' : storage;
  };
  return frozenParameters(outline, withHead).map((parameter) => ({
    name: parameter.name,
    shape: parameter.shape,
    storage: storageOf(parameter),
    transposed: modules.get(parameter.name)?.transposed ?? false,
  }));
}

/** The frozen weights of a program; with `withHead` also those of a task's head, which an adapter would otherwise provide. */
export function frozenParameters(outline: ModelOutline, withHead: boolean): ParameterSpec[] {
  return outline.parameters.filter(({ fresh, unread }) => !unread && (withHead || fresh === undefined));
}

/**
 * Returns a function that quantises and unpacks a base model's weight, by parameter name: its result is the float32 values that training
 * on a base in `dtype` reads. Weights that are not quantised in such training are returned unchanged.
 */
export function dequantised(
  outline: ModelOutline,
  dtype: 'int8' | 'nf4',
): (name: string, values: Float32Array) => Float32Array {
  const stored = new Map(storedWeights(outline, dtype, false).map((weight) => [weight.name, weight]));
  return (name, values) => {
    const weight = stored.get(outline.aliases[name] ?? name);
    if (weight?.storage === 'nf4') return dequantiseNf4(quantiseNf4(values), values.length);
    if (weight?.storage !== 'int8') return values;
    const { shape, transposed } = weight;
    return dequantiseInt8(quantiseInt8(values, shape, transposed), shape, transposed);
  };
}

/** One variable of a stored weight. Its name is the weight's name and the suffix. */
export interface StoredPart {
  suffix: string;
  shape: number[];
  dtype: DType;
}

/** The variables that store a weight. */
export function partsOf({ shape, storage, transposed }: Omit<StoredWeight, 'name'>): StoredPart[] {
  if (storage === 'float32' || storage === 'bfloat16') return [{ suffix: '', shape, dtype: storage }];
  if (storage === 'int8') {
    const rows = shape.slice(0, -1);
    return [
      { suffix: '', shape, dtype: 'int8' },
      { suffix: '.scales', shape: transposed ? [1, shape.at(-1)!] : [...rows, 1], dtype: 'float32' },
    ];
  }
  return [{ suffix: '', shape: [nf4Bytes(elementCount(shape))], dtype: 'uint8' }];
}

/** The variable with NF4's look-up table of 1 MiB, in programs that store weights in NF4. */
export const NF4_TABLE = { name: 'nf4_table', shape: [65_536, 4] };
