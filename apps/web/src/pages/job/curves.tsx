import type { FineTuningJob, JobMetric } from '@graft/client';
import { useMemo } from 'preact/hooks';
import { Chart } from '../../components/chart/chart.tsx';
import { CurveOptions, useCurveView } from '../../components/chart/curve-view.tsx';
import type { Line } from '../../components/chart/plot-options.ts';
import { Problem } from '../../components/problem.tsx';
import { type Metric, metricValue, useMetrics } from '../../data/metrics.ts';
import { type Series, useSeries } from '../../data/series.ts';
import { type Along, linesOf, lossLines, rangeOf, windowSteps } from '../../data/series-lines.ts';
import { bytes, measure, percent, rough } from '../../text/numbers.ts';

const formats: Record<Metric['unit'], (value: number) => string> = {
  share: percent,
  number: measure,
  per_second: rough,
  bytes,
};

/** What was measured at each step, a chart for each metric: one cursor over all, zoomed together. */
export function Curves({ job }: { job: FineTuningJob }) {
  const view = useCurveView();
  const { along, weight, isLog, window, onWindow, formatX } = view;
  const whole = useSeries(job, null);
  const metrics = useMetrics(job);
  const series = whole.data ?? [];
  const inWindow = useSeries(job, windowSteps(series, window, along));
  const shown = window ? (inWindow.data ?? series) : series;
  const loss = useMemo(() => lossOf(shown, along, weight), [shown, along, weight]);
  const charts = useMemo(
    () =>
      metrics.map((metric) => ({ metric, lines: metricLines(metric, shown, along, weight, job.training) })),
    [metrics.length, shown, along, weight, job.training],
  );
  if (whole.error) return <Problem error={whole.error} onRetry={whole.refetch} />;
  // What a version did not measure, or another objective of the task measures, has no chart.
  const isShown = (metric: Metric) =>
    series.length === 0
      ? metric.measured.includes('step')
      : series.some((row) => metricValue(metric, row) !== null);
  const common = {
    ...{ window, onWindow, formatX, sync: job.id },
    range: rangeOf(series, along),
    empty: whole.isPending ? '' : 'No values yet',
  };
  return (
    <section class="stack" aria-label="Curves">
      <CurveOptions view={view} />
      <Chart title="Loss" lines={loss} height={300} isLog={isLog} {...common} />
      <div class="curves-grid">
        {charts
          .filter(({ metric }) => isShown(metric))
          .map(({ metric: { name, label, unit, better }, lines }) => (
            <Chart
              key={name}
              title={label}
              note={better === null ? '' : `${better} is better`}
              lines={lines}
              formatY={formats[unit]}
              isFromZero={unit === 'bytes'}
              {...common}
            />
          ))}
      </div>
    </section>
  );
}

function lossOf(series: Series, along: Along, weight: number): Line[] {
  const train = series.filter(({ kind }) => kind === 'train');
  return [...lossLines(train, along, weight), ...evaluationLines(series, along, ({ loss }) => loss)];
}

function evaluationLines(series: Series, along: Along, value: (row: JobMetric) => number | null): Line[] {
  const train = series.filter(({ kind }) => kind === 'train');
  const evaluations = series.filter(({ kind }) => kind === 'evaluation');
  const drawn = { name: 'evaluation', colour: 1, value, weight: 0, isSparse: true };
  return linesOf(evaluations, along, [drawn], train);
}

/** Metrics whose steps are not drawn as all others are. */
const drawing: Record<
  string,
  { isExact?: true; value?: typeof metricValue; legend?: (training: FineTuningJob['training']) => string }
> = {
  learning_rate: { isExact: true, legend: () => 'learning rate' },
  grad_norm: {
    legend: ({ max_grad_norm: clip }) => (clip ? `before it is cut at ${measure(clip)}` : 'norm'),
  },
  tokens_per_second: { legend: () => 'speed' },
  memory_bytes: {
    isExact: true,
    legend: () => 'held',
    value: (metric, row) => row.stretch?.memory_bytes_max ?? metricValue(metric, row),
  },
};

function metricLines(
  metric: Metric,
  series: Series,
  along: Along,
  weight: number,
  training: FineTuningJob['training'],
): Line[] {
  const { isExact, value = metricValue, legend } = drawing[metric.name] ?? {};
  const drawn = {
    name: legend?.(training) ?? 'training',
    colour: 0,
    value: (row: JobMetric) => value(metric, row),
    weight: isExact ? 0 : weight,
  };
  return [
    ...linesOf(
      series.filter(({ kind }) => kind === 'train'),
      along,
      [drawn],
    ),
    ...evaluationLines(series, along, (row) => metricValue(metric, row)),
  ];
}
