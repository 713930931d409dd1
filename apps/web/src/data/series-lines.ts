import type { JobMetric } from '@graft/client';
import type { Line } from '../components/chart/plot-options.ts';
import { smooth } from '../components/chart/smooth.ts';
import type { Series } from './series.ts';

/** Unit of the x axis: steps, or seconds since the first step. */
export type XAxis = 'step' | 'time';

interface Curve {
  name: string;
  colour: number;
  /** Null: the row has none. */
  value: (row: JobMetric) => number | null;
}

const rowsOfKind = (series: Series, kind: JobMetric['kind']) => series.filter((row) => row.kind === kind);

/** Loss of a training step; of a downsampled series, the mean of each bucket. */
export const trainingLoss = ({ loss, stretch }: JobMetric): number => stretch?.loss_mean ?? loss;

/** The line of a curve of training steps. With a smoothing `weight` above 0, the raw values are drawn faintly behind. */
export const trainingLines = (series: Series, xAxis: XAxis, curve: Curve, weight: number): Line[] =>
  linesOf(rowsOfKind(series, 'train'), xAxis, curve, weight);

/** The line of a curve of evaluations, which are few. */
export const evaluationLines = (series: Series, xAxis: XAxis, curve: Curve): Line[] =>
  linesOf(rowsOfKind(series, 'evaluation'), xAxis, curve, 0, rowsOfKind(series, 'train')).map((line) => ({
    ...line,
    isSparse: true,
  }));

/** Time counts from the first step of `since`. A curve without values has no lines. */
function linesOf(
  rows: Series,
  xAxis: XAxis,
  { name, colour, value }: Curve,
  weight: number,
  since = rows,
): Line[] {
  const start = since[0]?.created_at ?? 0;
  const x = rows.map((row) => (xAxis === 'step' ? row.step : row.created_at - start));
  const y = rows.map(value);
  if (y.every((each) => each === null)) return [];
  const line = { name, colour, ...uniqueX(x, smooth(y, weight)) };
  return weight === 0 ? [line] : [{ name, colour, ...uniqueX(x, y), isFaint: true }, line];
}

/** Keeps the last of several steps with the same x (one second): uPlot needs strictly increasing values. */
function uniqueX(x: readonly number[], y: readonly (number | null)[]): Pick<Line, 'x' | 'y'> {
  const isLast = x.map((each, i) => each !== x[i + 1]);
  return { x: x.filter((_, i) => isLast[i]), y: y.filter((_, i) => isLast[i]) };
}

/** The series of each trial of a sweep, counted by its own steps and drawn in its colour. */
export function trialSeries(
  series: Series,
): { trial: number; name: string; colour: number; series: Series }[] {
  const trials = [...new Set(series.flatMap(({ trial }) => trial ?? []))].sort((a, b) => a - b);
  return trials.map((trial) => ({
    trial,
    name: `Trial ${trial}`,
    colour: trial - 1,
    series: series
      .filter((row) => row.trial === trial)
      .map((row) => ({ ...row, step: row.trial_step ?? row.step })),
  }));
}

/** First and last x of a series; null if it is empty. */
export function rangeOf(series: Series, xAxis: XAxis): readonly [number, number] | null {
  const [first, last] = [series[0], series.at(-1)];
  if (!first || !last) return null;
  return xAxis === 'step' ? [first.step, last.step] : [0, last.created_at - first.created_at];
}

/** First and last step in a zoom window, to fetch only those; null if the loaded series already has every step. */
export function windowSteps(
  series: Series,
  window: readonly [number, number] | null,
  xAxis: XAxis,
): readonly [number, number] | null {
  if (!window || series.every(({ stretch }) => (stretch?.count ?? 1) === 1)) return null;
  if (xAxis === 'step') return [Math.max(0, Math.floor(window[0])), Math.ceil(window[1])];
  const start = series[0]!.created_at;
  const within = series.filter(({ created_at: at }) => at - start >= window[0] && at - start <= window[1]);
  if (within.length === 0) return null;
  return [within[0]!.stretch?.first_step ?? within[0]!.step, within.at(-1)!.step];
}
