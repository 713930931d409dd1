// Host memory into TensorFlow tensors.
import { codeOf, type DType, sizeOf, type TypedArray } from './dtypes.ts';
import { binding, type tf } from './tensorflow.ts';

/**
 * A native tensor with a copy of `data`; returns its id for the binding. The binding would let TensorFlow use the
 * JavaScript memory itself whenever it happens to be 64-byte aligned, and a variable assigned from it would then hold
 * memory that JavaScript may change and that another thread may free. Four bytes past the start of a buffer (which
 * allocators align to 16) is never 64-byte aligned, and there TensorFlow copies.
 */
export function createHostTensor(dtype: DType, shape: readonly number[], data: TypedArray): number {
  if (data.length !== sizeOf(shape)) throw new Error(`${data.length} values for shape [${shape}]`);
  return binding.createTensor([...shape], codeOf(dtype), unaligned(data) as tf.TypedArray);
}

function unaligned<T extends TypedArray>(data: T): T {
  if (data.byteOffset % 16 !== 0) return data;
  const make = data.constructor as new (buffer: ArrayBuffer, offset: number, length: number) => T;
  const copy = new make(new ArrayBuffer(data.byteLength + 4), 4, data.length);
  copy.set(data);
  return copy;
}
