import { type Packer, storeHalf } from './packer.ts';

/**
 * The scale and minimum with which x ≈ scale·q − minimum, q from 0 to `most`, has the smallest weighted squared error found among
 * `steps` roundings of the values: the quants of each rounding determine scale and minimum by least squares. The range above the best
 * minimum so far is divided into `most` + `first` parts, and one tenth more at every step. Values that are large compared with the group weigh
 * more: w = √(mean of x²) + |x|. Both results are ≥ 0. This search is the one of ggml's K-quants with a minimum.
 */
function fitScaleAndMinimum(
  values: Float32Array,
  start: number,
  count: number,
  most: number,
  { first, steps }: { first: number; steps: number },
): { scale: number; minimum: number } {
  const end = start + count;
  let [low, high, squares] = [0, values[start]!, 0];
  for (let i = start; i < end; i++) {
    const x = values[i]!;
    if (x < low) low = x;
    if (x > high) high = x;
    squares += x * x;
  }
  // Values that are all alike, and not negative: the scale must be positive to represent them.
  if (high <= low) return { scale: 0, minimum: -low };
  const mean = Math.sqrt(squares / count);
  let [sw, sx, sxx] = [0, 0, 0];
  for (let i = start; i < end; i++) {
    const x = values[i]!;
    const w = mean + Math.abs(x);
    sw += w;
    sx += w * x;
    sxx += w * x * x;
  }
  let best = Number.POSITIVE_INFINITY;
  const least = 1e-9 * sxx;
  let [scale, floor] = [(high - low) / most, low];
  for (let step = 0; step <= steps; step++) {
    // Step 0 is the plain division of the range.
    const toQuants = (step === 0 ? most : most + first + 0.1 * (step - 1)) / (high - floor);
    let [sl, sll, sxl] = [0, 0, 0];
    for (let i = start; i < end; i++) {
      const x = values[i]!;
      let q = ((x - floor) * toQuants + 0.5) | 0;
      if (q > most) q = most;
      else if (q < 0) q = 0;
      const wq = (mean + Math.abs(x)) * q;
      sl += wq;
      sll += wq * q;
      sxl += wq * x;
    }
    const determinant = sw * sll - sl * sl;
    let [s, m] = [scale, floor];
    if (step > 0) {
      if (determinant <= 0) continue;
      s = (sw * sxl - sx * sl) / determinant;
      m = (sll * sx - sl * sxl) / determinant;
      if (m > 0) {
        m = 0;
        s = sxl / sll;
      }
    }
    // Σ w (s q + m − x)², multiplied out.
    const error = s * s * sll + m * m * sw + sxx + 2 * (s * m * sl - s * sxl - m * sx);
    // Not for a difference that is rounding: groups with few distinct values fit exactly at every step, and should agree.
    if (error < best - least) [best, scale, floor] = [error, s, m];
  }
  return { scale, minimum: -floor };
}

/** The plain division of the range, then finer and coarser ones, in tenths of a part. */
const divisions = [0, ...Array.from({ length: 18 }, (_, i) => (i < 9 ? i - 9 : i - 8))];

/**
 * The scale with which x ≈ scale·q, q from −`most` to `most` − 1, has the smallest squared error weighted by x² found among
 * 19 roundings. It is negative if the value of the largest size is positive, because there is one more negative q.
 */
function fitScale(values: Float32Array, start: number, count: number, most: number): number {
  const end = start + count;
  let largest = 0;
  for (let i = start; i < end; i++) if (Math.abs(values[i]!) > Math.abs(largest)) largest = values[i]!;
  if (Math.abs(largest) < 1e-15) return 0;
  let [best, scale] = [0, 0];
  for (const step of divisions) {
    const toQuants = -(most + 0.1 * step) / largest;
    let [sxl, sll] = [0, 0];
    for (let i = start; i < end; i++) {
      const x = values[i]!;
      // `| 0` rounds towards zero, so that the sum must be positive.
      let q = ((x * toQuants + (2 * most + 0.5)) | 0) - 2 * most;
      if (q < -most) q = -most;
      else if (q >= most) q = most - 1;
      const wq = x * x * q;
      sxl += wq * x;
      sll += wq * q;
    }
    // The error is Σ w x² − sxl² / sll.
    if (sll > 0 && sxl * sxl > best * sll * (1 + 1e-9)) {
      scale = sxl / sll;
      best = scale * sxl;
    }
  }
  return scale;
}

// Blocks of 256 values in groups, whose scales are themselves quantised. The values are rounded once the scales are stored.

/** Groups of a block of 32 values each, with a scale and a minimum. */
const groups = 8;
const groupSize = 32;

const scales = new Float64Array(16);
const minima = new Float64Array(groups);
const quants = new Uint8Array(256);

/**
 * Finds and stores the scales and minima of a block's groups, at `at` (16 bytes), and leaves the rounded values in `quants`;
 * x ≈ d·scale·q − m·minimum with q from 0 to `most`, and 6-bit scales and minima.
 */
function packGroups(
  values: Float32Array,
  v: number,
  out: Uint8Array,
  at: number,
  most: number,
  search: { first: number; steps: number },
): void {
  let [largestScale, largestMinimum] = [0, 0];
  for (let group = 0; group < groups; group++) {
    const { scale, minimum } = fitScaleAndMinimum(values, v + group * groupSize, groupSize, most, search);
    scales[group] = scale;
    minima[group] = minimum;
    largestScale = Math.max(largestScale, scale);
    largestMinimum = Math.max(largestMinimum, minimum);
  }
  const d = storeHalf(out, at, largestScale / 63);
  const m = storeHalf(out, at + 2, largestMinimum / 63);
  const toScales = largestScale > 0 ? 63 / largestScale : 0;
  const toMinima = largestMinimum > 0 ? 63 / largestMinimum : 0;
  out.fill(0, at + 4, at + 16);
  for (let group = 0; group < groups; group++) {
    const scale = Math.min(63, Math.round(scales[group]! * toScales));
    const minimum = Math.min(63, Math.round(minima[group]! * toMinima));
    const s = at + 4 + group;
    if (group < 4) {
      out[s]! |= scale;
      out[s + 4]! |= minimum;
    } else {
      out[s + 4] = (scale & 15) | ((minimum & 15) << 4);
      out[s - 4]! |= (scale >> 4) << 6;
      out[s]! |= (minimum >> 4) << 6;
    }
    const step = d * scale;
    const floor = m * minimum;
    const toQuants = step > 0 ? 1 / step : 0;
    for (let j = group * groupSize; j < (group + 1) * groupSize; j++) {
      const q = ((values[v + j]! + floor) * toQuants + 0.5) | 0;
      quants[j] = q < 0 ? 0 : Math.min(q, most);
    }
  }
}

/** 144 bytes a block: d, m, 12 bytes of scales and minima, nibbles of two groups in 32 bytes. */
export const packQ4K: Packer = (values, out, blocks) => {
  for (let b = 0, at = 0, v = 0; b < blocks; b++, at += 144, v += 256) {
    packGroups(values, v, out, at, 15, { first: -1, steps: 21 });
    for (let pair = 0; pair < 4; pair++)
      for (let j = 0; j < 32; j++)
        out[at + 16 + pair * 32 + j] = quants[pair * 64 + j]! | (quants[pair * 64 + 32 + j]! << 4);
  }
};

/** 176 bytes a block: as Q4_K, with 32 bytes of fifth bits before the nibbles. */
export const packQ5K: Packer = (values, out, blocks) => {
  for (let b = 0, at = 0, v = 0; b < blocks; b++, at += 176, v += 256) {
    packGroups(values, v, out, at, 31, { first: -0.5, steps: 16 });
    for (let j = 0; j < 32; j++) {
      let fifth = 0;
      for (let group = 0; group < groups; group++) fifth |= (quants[group * 32 + j]! >> 4) << group;
      out[at + 16 + j] = fifth;
    }
    for (let pair = 0; pair < 4; pair++)
      for (let j = 0; j < 32; j++)
        out[at + 48 + pair * 32 + j] =
          (quants[pair * 64 + j]! & 15) | ((quants[pair * 64 + 32 + j]! & 15) << 4);
  }
};

/** 210 bytes a block: low nibbles, upper bit pairs, 16 signed scales of 16 values each, d; x ≈ d·scale·(q − 32). */
export const packQ6K: Packer = (values, out, blocks) => {
  for (let b = 0, at = 0, v = 0; b < blocks; b++, at += 210, v += 256) {
    let largest = 0;
    for (let group = 0; group < 16; group++) {
      const scale = fitScale(values, v + group * 16, 16, 32);
      scales[group] = scale;
      if (Math.abs(scale) > Math.abs(largest)) largest = scale;
    }
    // The largest scale is −128, of which a signed byte has one more than of positive numbers.
    const d = storeHalf(out, at + 208, largest / -128);
    const toScales = largest === 0 ? 0 : -128 / largest;
    for (let group = 0; group < 16; group++) {
      const scale = Math.min(127, Math.round(scales[group]! * toScales));
      out[at + 192 + group] = scale;
      const step = d * scale;
      const toQuants = step === 0 ? 0 : 1 / step;
      for (let j = group * 16; j < group * 16 + 16; j++) {
        const q = (values[v + j]! * toQuants + 64.5) | 0;
        quants[j] = q < 32 ? 0 : q > 95 ? 63 : q - 32;
      }
    }
    for (let half = 0; half < 2; half++) {
      const q = half * 128;
      const low = at + half * 64;
      const high = at + 128 + half * 32;
      for (let j = 0; j < 32; j++) {
        const [a, b2, c, e] = [quants[q + j]!, quants[q + 32 + j]!, quants[q + 64 + j]!, quants[q + 96 + j]!];
        out[low + j] = (a & 15) | ((c & 15) << 4);
        out[low + 32 + j] = (b2 & 15) | ((e & 15) << 4);
        out[high + j] = (a >> 4) | ((b2 >> 4) << 2) | ((c >> 4) << 4) | ((e >> 4) << 6);
      }
    }
  }
};
