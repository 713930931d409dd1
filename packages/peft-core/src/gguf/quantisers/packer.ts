import { halfValues, toHalf } from '../../tensors/float16.ts';

export type Packer = (values: Float32Array, out: Uint8Array, blocks: number) => void;

/** Stores the F16 nearest to `value` and returns it as it will be read. */
export function storeHalf(out: Uint8Array, at: number, value: number): number {
  const bits = toHalf(value);
  out[at] = bits & 255;
  out[at + 1] = bits >> 8;
  return halfValues()[bits]!;
}
