/** A buffer that results are written into one after the other: allocating memory for each takes longer. */
export class ScratchBuffer {
  #memory = new Float32Array(0);

  /** Returns `count` values with undefined content. They share the memory of all values returned before. */
  take(count: number): Float32Array {
    if (this.#memory.length < count) this.#memory = new Float32Array(count);
    return this.#memory.subarray(0, count);
  }
}
