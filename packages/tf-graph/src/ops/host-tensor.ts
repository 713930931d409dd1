// Host memory into eager TensorFlow tensors.
import { codeOf, type DType, sizeOf, type TypedArray } from '../dtypes.ts';
import { binding, type tf } from '../tensorflow.ts';

/**
 * A native tensor with a copy of `data`; returns its id for the binding. TensorFlow must copy: the binding would let it use
 * JavaScript's memory itself when that happens to be 64-byte aligned, and a tensor would then hold memory that JavaScript
 * changes and that another thread may free. Four bytes past the start of a buffer, which allocators align to 8 at least,
 * never is.
 */
export function createHostTensor(dtype: DType, shape: readonly number[], data: TypedArray): number {
  if (data.length !== sizeOf(shape)) throw new Error(`${data.length} values for shape [${shape}]`);
  const aside = data.byteOffset % 8 === 4 ? data : copyAside(data);
  return binding.createTensor([...shape], codeOf(dtype), aside as tf.TypedArray);
}

function copyAside<T extends TypedArray>(data: T): T {
  const type = data.constructor as new (buffer: ArrayBuffer, offset: number, length: number) => T;
  const copy = new type(new ArrayBuffer(4 + data.byteLength), 4, data.length);
  copy.set(data);
  return copy;
}
