import { dynamicMap } from '../dynamic-map.ts';
import type { Int8Weights } from '../int8.ts';
import { BLOCK, GROUP, NF4, type Nf4Weights } from '../nf4.ts';

/** The float32 values of NF4 weights, written out from their definition: what a graph must unpack to, bit for bit. */
export function hostNf4({ codes, absmax, nestedAbsmax, offset }: Nf4Weights, size: number): Float32Array {
  const map = dynamicMap();
  return Float32Array.from({ length: size }, (_, i) => {
    const block = Math.floor(i / BLOCK);
    const centred = Math.fround(map[absmax[block]!]! * nestedAbsmax[Math.floor(block / GROUP)]!);
    const largest = Math.fround(centred + offset[0]!);
    const byte = codes[i >> 1]!;
    return NF4[i % 2 === 0 ? byte >> 4 : byte & 15]! * largest;
  });
}

/** The float32 values of int8 weights of `shape`. */
export function hostInt8(
  { codes, scales }: Int8Weights,
  shape: readonly number[],
  transposed: boolean,
): Float32Array {
  const columns = shape[1]!;
  return Float32Array.from(
    codes,
    (code, i) => code * scales[transposed ? i % columns : Math.floor(i / columns)]!,
  );
}
