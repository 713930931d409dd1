import { tf } from '@graft/tf-graph';
import { elementCount, type HostTensor } from '../tensors/tensor-source.ts';
import type { AdapterParameter, RateGroup } from '../tuners/tuner.ts';

/** The location of one parameter in the flat vector. */
export interface LayoutEntry {
  name: string;
  shape: number[];
  offset: number;
  length: number;
  decayed: boolean;
  /** Training never changes it. */
  constant: boolean;
  rate: RateGroup;
}

/**
 * The location of each adapter parameter in one flat vector. One vector replaces hundreds of small variables: the optimizer is
 * a dozen operations for the whole adapter, and its state is three arrays.
 */
export class AdapterLayout {
  readonly size: number;
  readonly entries: LayoutEntry[];

  constructor(parameters: AdapterParameter[]) {
    let offset = 0;
    this.entries = parameters.map(({ name, shape, rate, ...given }) => {
      const { constant = false, decayed = !constant && shape.length > 1 } = given;
      const length = elementCount(shape);
      const group = rate ?? (shape.length === 1 ? 'second' : 'first');
      const entry = { name, shape, offset, length, decayed, constant, rate: group };
      offset += length;
      return entry;
    });
    this.size = offset;
  }

  /** Flat tensor `(size)` → one tensor per parameter. */
  split(flat: tf.Tensor): Map<string, tf.Tensor> {
    return new Map(
      this.entries.map((e) => [e.name, tf.reshape(tf.slice(flat, [e.offset], [e.length]), e.shape)]),
    );
  }

  /** One tensor per parameter, in the order of `entries` → flat tensor `(size)`. */
  concat(tensors: tf.Tensor[]): tf.Tensor {
    const flat = tensors.map((t, i) => tf.reshape(t, [this.entries[i]!.length]));
    return flat.length === 1 ? flat[0]! : tf.concat(flat, 0);
  }

  views(flat: Float32Array): Map<string, HostTensor> {
    return new Map(
      this.entries.map((e) => [
        e.name,
        { shape: e.shape, data: flat.subarray(e.offset, e.offset + e.length) },
      ]),
    );
  }

  /** Concatenates values by name into a flat host array. Throws an error that names a missing parameter or one of the wrong size. */
  flatten(values: (name: string) => Float32Array | undefined): Float32Array {
    const flat = new Float32Array(this.size);
    for (const { name, offset, length, shape } of this.entries) {
      const data = values(name);
      if (!data) throw new Error(`no values for adapter parameter ${name}`);
      if (data.length !== length)
        throw new Error(
          `adapter parameter ${name} has ${data.length} values, its shape [${shape}] has ${length}`,
        );
      flat.set(data, offset);
    }
    return flat;
  }
}
