import type { Rung } from '../../config/index.ts';
import type { MetricSeries } from '../checkpoints/metric-series.ts';
import { type SweepSegment, sweepProgress, type TrialProgress } from './sweep-progress.ts';
import type { SweepStretch } from './sweep-records.ts';

/** All measurements of the trials so far, as one sequence of steps in the order of an uninterrupted sweep. */
export function seriesByTrial(
  rungs: readonly Rung[],
  trials: readonly TrialProgress[],
  series: readonly MetricSeries[],
): SweepStretch[] {
  const tokens = trials.map(() => 0);
  return segmentsSoFar(rungs, trials).flatMap(({ trial, before, from, until }) => {
    const { train, evaluation } = series[trial]!;
    const end = Math.min(until, train.loss.length);
    if (end <= from) return [];
    const others = tokens.reduce((sum, each) => sum + each, 0) - tokens[trial]!;
    tokens[trial] = train.tokens[end - 1]!;
    const columns = cut(train, (row) => row >= from && row < end);
    const allTokens = columns.tokens.map((own) => others + own);
    const measured = cut(evaluation, (row) => evaluation.step[row]! > from && evaluation.step[row]! <= end);
    return [
      {
        trial: trial + 1,
        offset: before - from,
        firstStep: from + 1,
        series: { train: { ...columns, tokens: allTokens }, evaluation: measured },
      },
    ];
  });
}

/** The finished segments and the one in progress. */
function segmentsSoFar(rungs: readonly Rung[], trials: readonly TrialProgress[]): SweepSegment[] {
  const segments: SweepSegment[] = [];
  const then = trials.map(({ values }) => ({
    losses: [] as number[],
    diverged: false,
    ...(values && { values }),
  }));
  for (;;) {
    const { next } = sweepProgress(rungs, then);
    if (!next) return segments;
    segments.push(next);
    const [now, past] = [trials[next.trial]!, then[next.trial]!];
    if (now.losses.length > past.losses.length) past.losses.push(now.losses[past.losses.length]!);
    else if (now.diverged) past.diverged = true;
    else return segments;
  }
}

/** Copies the rows for which `takes` is true: sending a view would transfer its whole underlying buffer. */
function cut<Columns extends Record<string, Float64Array>>(
  columns: Columns,
  takes: (row: number) => boolean,
): Columns {
  return Object.fromEntries(
    Object.entries(columns).map(([name, values]) => [name, values.filter((_, row) => takes(row))]),
  ) as Columns;
}
