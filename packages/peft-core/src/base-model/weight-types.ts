import { toBfloat16 } from '@graft/tf-graph/bfloat16';
import { GraftError } from '../errors.ts';
import { largestFloat16, toFloat16 } from '../tensors/float16.ts';
import { isExactInBfloat16 } from '../tensors/tensor-source.ts';

/** Types of the weights that are written; `stored`: each tensor as in the base model. */
export const weightTypes = ['stored', 'float32', 'bfloat16', 'float16'] as const;
export type WeightType = (typeof weightTypes)[number];

/** The types of safetensors for weights, with their names in config.json. */
export const configTypes = { F32: 'float32', BF16: 'bfloat16', F16: 'float16' } as const;
export type FloatType = keyof typeof configTypes;

/** Returns true if tensors of a stored type are weights. Integers are buffers that transformers computes itself: an encoder's position_ids. */
export const isWeightType = (dtype: string): boolean => !/^(I|U)\d+$|^BOOL$/.test(dtype);

/**
 * The type of a written tensor whose stored type is `stored`: MXFP4 becomes BF16, which holds its values, another quantised one F16, a
 * wider one F32. Null: it is a new tensor.
 */
export function floatType(weights: WeightType, stored: string | null): FloatType {
  const types = Object.keys(configTypes) as FloatType[];
  if (weights !== 'stored') return types.find((type) => configTypes[type] === weights)!;
  if (stored !== null && isExactInBfloat16(stored)) return 'BF16';
  return types.find((type) => type === stored) ?? (stored?.startsWith('Q') ? 'F16' : 'F32');
}

/** Values in a type. Throws `float16_overflow`, which names the tensor, for a finite value that float16 does not hold. */
export function packFloats(type: FloatType, values: Float32Array, name: string): Float32Array | Uint16Array {
  if (type === 'F32') return values;
  if (type === 'BF16') return toBfloat16(values);
  const packed = toFloat16(values);
  const at = packed.findIndex((bits, i) => (bits & 0x7fff) === 0x7c00 && Number.isFinite(values[i]!));
  if (at < 0) return packed;
  throw new GraftError(
    'float16_overflow',
    `tensor "${name}" holds ${values[at]}, and float16 ends at ${largestFloat16}; choose dtype bfloat16 or float32`,
    { param: 'options.dtype' },
  );
}
