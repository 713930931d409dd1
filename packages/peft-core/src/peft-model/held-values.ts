import { createHash } from 'node:crypto';
import type { HostTensor } from '../files.ts';
import type { LayoutEntry } from './adapter-layout.ts';
import { adapterValues } from './adapter-values.ts';
import type { PeftModel } from './peft-model.ts';

export interface AdapterInMemory {
  /** The flat vector of the adapter's variable. */
  vector(): Float32Array;
}

/**
 * Holds the values of loaded adapters. Constants, which training never changes, are in memory once for all adapters that have the same
 * ones, such as random projections of one key, and only as long as one of these adapters is.
 */
export class HeldValues {
  /** By the SHA-256 of their bytes. */
  readonly #constants = new Map<string, WeakRef<Float32Array>>();

  /** Throws what `adapterValues` throws. */
  hold(model: PeftModel, tensors: Map<string, HostTensor>): AdapterInMemory {
    const values = adapterValues(model, tensors);
    const { entries, size } = model.layout;
    const constants = entries.filter(({ constant }) => constant);
    if (constants.length === 0) return whole(values);
    const trained = entries.filter(({ constant }) => !constant);
    const common = this.#common(gather(values, constants));
    return inParts(size, [
      [gather(values, trained), trained],
      [common, constants],
    ]);
  }

  /** The array with these values that another adapter has, or this one. */
  #common(values: Float32Array): Float32Array {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    const key = createHash('sha256').update(bytes).digest('hex');
    const found = this.#constants.get(key)?.deref();
    if (found) return found;
    for (const [each, gone] of this.#constants) if (!gone.deref()) this.#constants.delete(each);
    this.#constants.set(key, new WeakRef(values));
    return values;
  }
}

// Closures of one function keep all of its variables, so these two are separate functions.
const whole = (values: Float32Array): AdapterInMemory => ({ vector: () => values });

const inParts = (
  size: number,
  parts: readonly (readonly [values: Float32Array, entries: readonly LayoutEntry[]])[],
): AdapterInMemory => ({
  vector() {
    const vector = new Float32Array(size);
    for (const [values, entries] of parts) scatter(values, entries, vector);
    return vector;
  },
});

function gather(vector: Float32Array, entries: readonly LayoutEntry[]): Float32Array {
  const values = new Float32Array(entries.reduce((sum, { length }) => sum + length, 0));
  let to = 0;
  for (const { offset, length } of entries) {
    values.set(vector.subarray(offset, offset + length), to);
    to += length;
  }
  return values;
}

function scatter(values: Float32Array, entries: readonly LayoutEntry[], vector: Float32Array): void {
  let from = 0;
  for (const { offset, length } of entries) {
    vector.set(values.subarray(from, from + length), offset);
    from += length;
  }
}
