// Host memory into TensorFlow tensors.
import { codeOf, type DType, sizeOf, type TypedArray } from './dtypes.ts';
import { binding, type tf } from './tensorflow.ts';

const REUSE_LIMIT = 8 << 20;

/**
 * Memory that native tensors are made from, used again for each. TensorFlow must copy out of it: the binding would let it
 * use JavaScript's memory itself when that happens to be 64-byte aligned, and a variable assigned from it would then hold
 * memory that JavaScript changes and that another thread may free. Four bytes past the start of a buffer, which allocators
 * align to 8 at least, never is.
 */
export class HostStaging {
  #buffer = new ArrayBuffer(0);

  /** `length` elements to fill and pass to createHostTensor before the next call. */
  array<T extends TypedArray>(
    type: new (buffer: ArrayBuffer, offset: number, length: number) => T,
    length: number,
  ): T {
    const bytes = 4 + length * (type as unknown as { BYTES_PER_ELEMENT: number }).BYTES_PER_ELEMENT;
    if (bytes > REUSE_LIMIT) return new type(new ArrayBuffer(bytes), 4, length); // not kept for the sake of one large tensor
    if (this.#buffer.byteLength < bytes) this.#buffer = new ArrayBuffer(bytes);
    return new type(this.#buffer, 4, length);
  }

  /** `data` itself if TensorFlow is sure to copy it, else a copy. */
  copyOf<T extends TypedArray>(data: T): T {
    if (data.byteOffset % 8 === 4) return data;
    const copy = this.array(
      data.constructor as new (
        buffer: ArrayBuffer,
        offset: number,
        length: number,
      ) => T,
      data.length,
    );
    copy.set(data);
    return copy;
  }
}

/** A native tensor with a copy of `data`; returns its id for the binding. */
export function createHostTensor(
  dtype: DType,
  shape: readonly number[],
  data: TypedArray,
  staging = new HostStaging(),
): number {
  if (data.length !== sizeOf(shape)) throw new Error(`${data.length} values for shape [${shape}]`);
  return binding.createTensor([...shape], codeOf(dtype), staging.copyOf(data) as tf.TypedArray);
}
