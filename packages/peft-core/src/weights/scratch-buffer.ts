/** A buffer that weights are read into one after the other: allocating memory for each takes longer than reading it. */
export class ScratchBuffer {
  #memory = new ArrayBuffer(0);

  /** Returns `count` values with undefined content. They share the memory of all values returned before. */
  take<Storage extends 'float32' | 'bfloat16'>(
    storage: Storage,
    count: number,
  ): Storage extends 'float32' ? Float32Array<ArrayBuffer> : Uint16Array<ArrayBuffer>;
  take(storage: 'float32' | 'bfloat16', count: number): Float32Array | Uint16Array {
    const type = storage === 'float32' ? Float32Array : Uint16Array;
    const bytes = count * type.BYTES_PER_ELEMENT;
    if (this.#memory.byteLength < bytes) this.#memory = new ArrayBuffer(bytes);
    return new type(this.#memory, 0, count);
  }
}
