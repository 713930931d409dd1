import { dynamicMap } from './dynamic-map.ts';

/** Number of weights that share an absolute maximum. */
export const BLOCK = 64;
/** Number of absolute maxima that share a second, larger maximum. */
export const GROUP = 256;

/** 4-bit NormalFloat: quantiles of N(0, 1) scaled to [-1, 1], with an exact zero. Source: Dettmers et al. 2023, arXiv:2305.14314, appendix E. */
export const NF4 = Float32Array.of(
  -1,
  -0.6961928009986877,
  -0.5250730514526367,
  -0.39491748809814453,
  -0.28444138169288635,
  -0.18477343022823334,
  -0.09105003625154495,
  0,
  0.07958029955625534,
  0.16093020141124725,
  0.24611230194568634,
  0.33791524171829224,
  0.44070982933044434,
  0.5626170039176941,
  0.7229568362236023,
  1,
);

/**
 * Weights in NF4 with double quantisation: `weight = NF4[code] · (map[absmax] · nestedAbsmax + offset)`, 4.13 bits each.
 * The arithmetic is that of bitsandbytes (float32, in the same order), so the codes are equal.
 */
export interface Nf4Weights {
  /** Two codes per byte, the first in the upper half; whole blocks, padded with zeros. */
  codes: Uint8Array;
  /** For each block the code, in the dynamic map, of its absolute maximum minus `offset`; whole groups. */
  absmax: Uint8Array;
  /** For each group the factor of its decoded maxima. */
  nestedAbsmax: Float32Array;
  /** The mean of the blocks' absolute maxima, `(1)`. */
  offset: Float32Array;
}

export function nf4Sizes(size: number): { blocks: number; groups: number } {
  const blocks = Math.ceil(size / BLOCK);
  return { blocks, groups: Math.ceil(blocks / GROUP) };
}

/** Layout of `size` weights in one array of bytes: floats first, then the maxima's codes, then the weights' codes. */
export function nf4Layout(size: number) {
  const { blocks, groups } = nf4Sizes(size);
  const nestedAbsmax = { start: 0, bytes: 4 * groups };
  const offset = { start: nestedAbsmax.bytes, bytes: 4 };
  const absmax = { start: offset.start + offset.bytes, bytes: groups * GROUP };
  const codes = { start: absmax.start + absmax.bytes, bytes: (blocks * BLOCK) / 2 };
  return { nestedAbsmax, offset, absmax, codes };
}

/** Bytes of `size` weights, including everything needed to unpack them. */
export function nf4Bytes(size: number): number {
  const { codes } = nf4Layout(size);
  return codes.start + codes.bytes;
}

/** The parts of `size` weights within their one array of bytes, which a graph reads as one variable instead of four. */
export function nf4Parts(packed: Uint8Array, size: number): Nf4Weights {
  const layout = nf4Layout(size);
  const bytesOf = (part: keyof typeof layout) =>
    packed.subarray(layout[part].start, layout[part].start + layout[part].bytes);
  const floatsOf = (part: keyof typeof layout) => {
    const { buffer, byteOffset, byteLength } = bytesOf(part);
    return new Float32Array(buffer, byteOffset, byteLength / 4);
  };
  return {
    codes: bytesOf('codes'),
    absmax: bytesOf('absmax'),
    nestedAbsmax: floatsOf('nestedAbsmax'),
    offset: floatsOf('offset'),
  };
}

/** Quantises weights in their storage order. Zero stays zero. */
export function quantiseNf4(weights: Float32Array): Nf4Weights {
  const quantiser = new Nf4Quantiser(new Uint8Array(nf4Bytes(weights.length)), weights.length);
  quantiser.add(weights);
  return quantiser.finish();
}

/** Quantises `size` weights that are added in pieces, into zeroed bytes in the order of `nf4Layout`. */
export class Nf4Quantiser {
  readonly #parts: Nf4Weights;
  readonly #groups: number;
  readonly #maxima: Float32Array;
  readonly #codeOf = nearestCode(NF4);
  #block = 0;

  constructor(packed: Uint8Array, size: number) {
    const { blocks, groups } = nf4Sizes(size);
    this.#parts = nf4Parts(packed, size);
    this.#groups = groups;
    this.#maxima = new Float32Array(blocks);
  }

  /** Adds the next weights: whole blocks, except at the end. */
  add(weights: Float32Array): void {
    const { codes } = this.#parts;
    const codeOf = this.#codeOf;
    const zero = codeOf(0);
    for (let start = 0; start < weights.length; start += BLOCK, this.#block++) {
      const end = Math.min(start + BLOCK, weights.length);
      const largestOfBlock = largest(weights, start, end);
      this.#maxima[this.#block] = largestOfBlock;
      const inverse = inverseOf(largestOfBlock);
      const first = (this.#block * BLOCK) / 2;
      if (end - start < BLOCK) codes.fill((zero << 4) | zero, first);
      for (let i = start; i < end; i++) {
        const code = codeOf(Math.fround(weights[i]! * inverse));
        const at = first + ((i - start) >> 1);
        codes[at] = i % 2 === 0 ? (code << 4) | zero : (codes[at]! & 0xf0) | code;
      }
    }
  }

  /** Quantises the largest absolute values of all blocks; call once, after the last weights. */
  finish(): Nf4Weights {
    const { absmax, nestedAbsmax, offset } = this.#parts;
    const maxima = this.#maxima;
    const codeOf = nearestCode(dynamicMap());
    const mean = Math.fround(maxima.reduce((sum, x) => sum + x, 0) / maxima.length);
    offset[0] = mean;
    for (let i = 0; i < maxima.length; i++) maxima[i]! -= mean;
    for (let group = 0; group < this.#groups; group++) {
      const start = group * GROUP;
      const end = Math.min(start + GROUP, maxima.length);
      nestedAbsmax[group] = largest(maxima, start, end);
      const inverse = inverseOf(nestedAbsmax[group]!);
      for (let i = start; i < end; i++) absmax[i] = codeOf(Math.fround(maxima[i]! * inverse));
    }
    return this.#parts;
  }
}

/** The first `size` float32 values of NF4 weights, equal to those that a graph unpacks bit for bit. */
export function dequantiseNf4(
  { codes, absmax, nestedAbsmax, offset }: Nf4Weights,
  size: number,
): Float32Array {
  const map = dynamicMap();
  const values = new Float32Array(size);
  for (let start = 0, block = 0; start < size; start += BLOCK, block++) {
    const centred = Math.fround(map[absmax[block]!]! * nestedAbsmax[Math.floor(block / GROUP)]!);
    const largest = Math.fround(centred + offset[0]!);
    for (let i = start; i < Math.min(start + BLOCK, size); i++) {
      const byte = codes[i >> 1]!;
      values[i] = NF4[i % 2 === 0 ? byte >> 4 : byte & 15]! * largest;
    }
  }
  return values;
}

/** Number of cells into which `nearestCode` divides [-1, 1]. */
const CELLS = 256;

/**
 * Returns a function that finds the index of the value in an ascending code book that is nearest to a number in [-1, 1]; halfway
 * between two values, the lower one. The midpoints are float32, as in bitsandbytes.
 */
function nearestCode(codeBook: Float32Array): (x: number) => number {
  const midpoints = Float32Array.from({ length: codeBook.length - 1 }, (_, i) =>
    Math.fround(Math.fround(codeBook[i]! + codeBook[i + 1]!) / 2),
  );
  // The first midpoint at or above each cell's lower edge: a search that starts there is short.
  const first = Uint8Array.from({ length: CELLS + 1 }, (_, cell) => {
    const edge = (2 * cell) / CELLS - 1;
    const at = midpoints.findIndex((midpoint) => midpoint >= edge);
    return at === -1 ? midpoints.length : at;
  });
  return (x) => {
    let code = first[Math.max(0, ((x + 1) * (CELLS / 2)) | 0)]!;
    while (code < midpoints.length && x > midpoints[code]!) code++;
    return code;
  };
}

function largest(values: Float32Array, start: number, end: number): number {
  let found = 0;
  for (let i = start; i < end; i++) found = Math.max(found, Math.abs(values[i]!));
  return found;
}

/** 1 / x in float32. As in bitsandbytes, x is at least 1e-38. */
const inverseOf = (x: number) => Math.fround(1 / Math.max(x, 1e-38));

/**
 * The values of two bytes of codes, `(65536, 4)`: row `first + 256 · second` holds their four values in order. Looking up four at
 * a time measured 0.9 ns per weight on two cores, against 1.3 for two at a time and 4.4 for single codes.
 */
export function nf4Table(): Float32Array {
  const table = new Float32Array(65_536 * 4);
  for (let pair = 0; pair < 65_536; pair++) {
    const [first, second] = [pair & 255, pair >> 8];
    for (const [i, code] of [first >> 4, first & 15, second >> 4, second & 15].entries()) {
      table[pair * 4 + i] = NF4[code]!;
    }
  }
  return table;
}
