/** Loss after a step, in nats per labelled token. */
export interface LossPoint {
  step: number;
  loss: number;
  /** Further metrics of an evaluation, by name. */
  metrics?: Readonly<Record<string, number>>;
}

/** Sorts points by step and removes NaN and infinite losses of a diverged run. */
export function drawablePoints(points: readonly LossPoint[]): LossPoint[] {
  return points
    .filter((point) => Number.isFinite(point.loss) && Number.isFinite(point.step))
    .sort((a, b) => a.step - b.step);
}

/** Reduces to at most `most` points by averaging neighbours. The last step is kept. */
export function condensedPoints(points: readonly LossPoint[], most: number): readonly LossPoint[] {
  const size = Math.ceil(points.length / most);
  if (size <= 1) return points;
  const condensed: LossPoint[] = [];
  for (let start = 0; start < points.length; start += size) {
    const group = points.slice(start, start + size);
    const loss = group.reduce((sum, point) => sum + point.loss, 0) / group.length;
    condensed.push({ step: group.at(-1)!.step, loss });
  }
  return condensed;
}

/**
 * Smooths the points with a Gaussian whose sigma is a sixtieth of the run. A moving average would lag behind a falling loss; this
 * does not.
 */
export function smoothedPoints(points: readonly LossPoint[]): LossPoint[] {
  const sigma = Math.max(0.5, points.length / 60);
  const reach = Math.ceil(3 * sigma);
  const weights = Array.from({ length: reach + 1 }, (_, distance) =>
    Math.exp(-0.5 * (distance / sigma) ** 2),
  );
  return points.map(({ step }, center) => {
    let sum = 0;
    let weight = 0;
    for (let i = Math.max(0, center - reach); i <= Math.min(points.length - 1, center + reach); i++) {
      const share = weights[Math.abs(i - center)]!;
      sum += share * points[i]!.loss;
      weight += share;
    }
    return { step, loss: sum / weight };
  });
}

/** About `count` round values in [low, high], with a distance of 1, 2 or 5 times a power of ten. */
export function axisTicks(low: number, high: number, count: number): number[] {
  if (!(high > low) || count < 1) return [low];
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough) as number;
  const ticks: number[] = [];
  for (let index = Math.ceil(low / step - 1e-9); index * step <= high + step * 1e-9; index++) {
    // Rounded, because 3 × 0.1 is 0.30000000000000004.
    ticks.push(Number((index * step).toPrecision(12)));
  }
  return ticks;
}

/** Formats all ticks with the number of decimals that the most precise tick needs. */
export function tickLabels(ticks: number[]): string[] {
  const digits = Math.max(...ticks.map((tick) => String(tick).split('.')[1]?.length ?? 0));
  return ticks.map((tick) => tick.toFixed(digits));
}
