/** Memory that one weight after the other is read into: fresh memory for each takes longer than reading it. */
export class Room {
  #memory = new ArrayBuffer(0);

  /** So many values of any content. What was taken before lies in the same memory. */
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
