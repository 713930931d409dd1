/**
 * The scale and minimum with which x ≈ scale·q − minimum, q from 0 to `most`, has the smallest weighted squared error found among
 * `steps` roundings of the values: the quants of each rounding determine scale and minimum by least squares. The range above the best
 * minimum so far is divided into `most` + `first` parts, and one tenth more at every step. Values that are large compared with the group weigh
 * more: w = √(mean of x²) + |x|. Both results are ≥ 0. This search is the one of ggml's K-quants with a minimum.
 */
export function fitScaleAndMinimum(
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
export function fitScale(values: Float32Array, start: number, count: number, most: number): number {
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
