import { type Packer, storeHalf } from './packer.ts';

// Blocks of 32 values with one scale. The arithmetic is that of ggml's reference, in float32, so that the bytes are the same.

const { fround } = Math;

/** To nearest, halves away from zero: C's roundf. */
const roundAway = (value: number) => (value < 0 ? -Math.floor(0.5 - value) : Math.floor(value + 0.5));

const inverse = (scale: number) => (scale === 0 ? 0 : fround(1 / scale));

/** x ≈ d·q with q from −127 to 127; d makes the largest value ±127. */
export const packQ8: Packer = (values, out, blocks) => {
  for (let b = 0, at = 0, v = 0; b < blocks; b++, at += 34, v += 32) {
    let largest = 0;
    for (let j = v; j < v + 32; j++) largest = Math.max(largest, Math.abs(values[j]!));
    const d = fround(largest / 127);
    const toQuants = inverse(d);
    storeHalf(out, at, d);
    for (let j = 0; j < 32; j++) out[at + 2 + j] = roundAway(fround(values[v + j]! * toQuants));
  }
};

/** x ≈ d·(q − 16) with q from 0 to 31; d makes the value of the largest size −16, so that it is exact. */
export const packQ5: Packer = (values, out, blocks) => {
  for (let b = 0, at = 0, v = 0; b < blocks; b++, at += 22, v += 32) {
    let largest = 0;
    for (let j = v; j < v + 32; j++) if (Math.abs(values[j]!) > Math.abs(largest)) largest = values[j]!;
    const d = fround(largest / -16);
    const toQuants = inverse(d);
    storeHalf(out, at, d);
    const quant = (value: number) => Math.min(31, Math.trunc(fround(fround(value * toQuants) + 16.5)));
    storeFiveBits(out, at + 2, (j) => quant(values[v + j]!));
  }
};

/** x ≈ d·q + m with q from 0 to 31, m the smallest value and m + 31·d the largest. */
export const packQ5WithMinimum: Packer = (values, out, blocks) => {
  for (let b = 0, at = 0, v = 0; b < blocks; b++, at += 24, v += 32) {
    let [low, high] = [values[v]!, values[v]!];
    for (let j = v + 1; j < v + 32; j++) {
      low = Math.min(low, values[j]!);
      high = Math.max(high, values[j]!);
    }
    const d = fround(fround(high - low) / 31);
    const toQuants = inverse(d);
    storeHalf(out, at, d);
    storeHalf(out, at + 2, low);
    const quant = (value: number) => Math.trunc(fround(fround(fround(value - low) * toQuants) + 0.5));
    storeFiveBits(out, at + 4, (j) => quant(values[v + j]!));
  }
};

/** Four bytes with the fifth bit of each of 32 quants, and 16 bytes with the others: quant j low and quant j + 16 high. */
function storeFiveBits(out: Uint8Array, at: number, quant: (j: number) => number): void {
  let fifth = 0;
  for (let j = 0; j < 16; j++) {
    const [low, high] = [quant(j), quant(j + 16)];
    out[at + 4 + j] = (low & 15) | ((high & 15) << 4);
    fifth |= ((low >> 4) << j) | ((high >> 4) << (j + 16));
  }
  for (let byte = 0; byte < 4; byte++) out[at + byte] = (fifth >> (8 * byte)) & 255;
}
