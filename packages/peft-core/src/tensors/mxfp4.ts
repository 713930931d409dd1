/** The values of the sixteen codes of e2m1: a sign, two bits of an exponent and one of a mantissa. */
export const mxfp4Values = Float32Array.of(0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6);

/** The factors of the scales of e8m0: powers of two. That of 255 is no float32, but half of it is, as PyTorch computes it. */
export const mxfp4Factors = Float64Array.from({ length: 256 }, (_, scale) => 2 ** (scale - 127));

/** Number of values that share a scale. */
export const MXFP4_BLOCK = 32;

/**
 * Unpacks blocks of 32 values in MXFP4: `packed` has two codes in each byte, the first in its lower half, and `scales` a byte for each
 * block. Writes `2 · packed.length` values into `to`. Source: the OCP Microscaling Formats specification 1.0; transformers,
 * integrations/mxfp4.py.
 */
export function unpackMxfp4(packed: Uint8Array, scales: Uint8Array, to: Float32Array): void {
  for (let i = 0; i < packed.length; i++) {
    const factor = mxfp4Factors[scales[i >> 4]!]!;
    to[2 * i] = mxfp4Values[packed[i]! & 15]! * factor;
    to[2 * i + 1] = mxfp4Values[packed[i]! >> 4]! * factor;
  }
}
