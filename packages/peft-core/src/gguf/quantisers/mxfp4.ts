import { mxfp4Factors } from '../../tensors/mxfp4.ts';
import type { Packer } from './packer.ts';

/** Above each of these is the next of the numbers 0, 0.5, 1, 1.5, 2, 3, 4 and 6; halfway, as in ggml, is the smaller one. */
const bounds = [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5];

/** The largest number's exponent: 6 = 1.5 · 2². */
const largest = 2;

const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);

/**
 * 17 bytes a block: the scale, a power of two that makes the largest value at least 4 and less than 8, of which the largest code is 6; and
 * codes. Values that were MXFP4 stay the same.
 */
export const packMxfp4: Packer = (values, out, blocks) => {
  const code = (value: number, factor: number) => {
    const magnitude = Math.abs(value) / factor;
    let code = 0;
    while (code < bounds.length && magnitude > bounds[code]!) code++;
    return value < 0 && code > 0 ? code + 8 : code;
  };
  for (let b = 0, at = 0, v = 0; b < blocks; b++, at += 17, v += 32) {
    float[0] = 0;
    for (let j = v; j < v + 32; j++) float[0] = Math.max(float[0]!, Math.abs(values[j]!));
    const scale = Math.max(0, (bits[0]! >>> 23) - largest);
    const factor = mxfp4Factors[scale]!;
    out[at] = scale;
    for (let j = 0; j < 16; j++)
      out[at + 1 + j] = code(values[v + j]!, factor) | (code(values[v + 16 + j]!, factor) << 4);
  }
};
