import type { JobMetric } from '@graft/client';
import type { Line } from '../components/chart/plot-options.ts';
import { smooth } from '../components/chart/smooth.ts';
import type { Series } from './series.ts';

/** What stands on the x axis: steps, or seconds since the first of them. */
export type Along = 'step' | 'time';

interface Drawn {
  name: string;
  colour: number;
  value: (metric: JobMetric) => number | null;
  /** Of smoothing; above 0 the values themselves stand faintly behind. */
  weight: number;
  isSparse?: boolean;
}

/** Curves of some metrics, `since` the first of which time counts. A curve without a value is none. */
export function linesOf(
  metrics: Series,
  along: Along,
  drawn: readonly Drawn[],
  since: Series = metrics,
): Line[] {
  const began = since[0]?.created_at ?? 0;
  const x = metrics.map((metric) => (along === 'step' ? metric.step : metric.created_at - began));
  return drawn.flatMap(({ name, colour, value, weight, isSparse = false }) => {
    const y = metrics.map(value);
    if (y.every((each) => each === null)) return [];
    const line = { name, colour, ...unequal(x, smooth(y, weight)), isSparse };
    return weight === 0 ? [line] : [{ name, colour, ...unequal(x, y), isFaint: true }, line];
  });
}

/** Of a summed-up series the mean of each stretch. */
export const lossLines = (
  train: Series,
  along: Along,
  weight: number,
  name = 'training',
  colour = 0,
): Line[] =>
  linesOf(train, along, [{ name, colour, value: ({ loss, stretch }) => stretch?.loss_mean ?? loss, weight }]);

/** Several steps of one second are one point, the last: an axis goes on and on. */
function unequal(x: readonly number[], y: readonly (number | null)[]): Pick<Line, 'x' | 'y'> {
  const isLast = x.map((each, i) => each !== x[i + 1]);
  return { x: x.filter((_, i) => isLast[i]), y: y.filter((_, i) => isLast[i]) };
}

/** From where to where a series goes on the axis. Null: it has not begun. */
export function rangeOf(series: Series, along: Along): readonly [number, number] | null {
  const [first, last] = [series[0], series.at(-1)];
  if (!first || !last) return null;
  return along === 'step' ? [first.step, last.step] : [0, last.created_at - first.created_at];
}

/** The steps that a window along the axis holds, to ask for them alone; null where the whole is as exact. */
export function windowSteps(
  series: Series,
  window: readonly [number, number] | null,
  along: Along,
): readonly [number, number] | null {
  if (!window || series.every(({ stretch }) => (stretch?.count ?? 1) === 1)) return null;
  if (along === 'step') return [Math.max(0, Math.floor(window[0])), Math.ceil(window[1])];
  const began = series[0]!.created_at;
  const within = series.filter(({ created_at: at }) => at - began >= window[0] && at - began <= window[1]);
  if (within.length === 0) return null;
  return [within[0]!.stretch?.first_step ?? within[0]!.step, within.at(-1)!.step];
}
