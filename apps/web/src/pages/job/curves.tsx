import type { FineTuningJob, JobMetric } from '@graft/client';
import { useMemo } from 'preact/hooks';
import { Chart } from '../../components/chart/chart.tsx';
import { CurveOptions, useCurveView } from '../../components/chart/curve-view.tsx';
import type { Line } from '../../components/chart/plot-options.ts';
import { Problem } from '../../components/problem.tsx';
import { type Metric, metricValue, useMetrics } from '../../data/metrics.ts';
import { type Series, useSeries } from '../../data/series.ts';
import { linesOf, lossLines, rangeOf, windowSteps, type XAxis } from '../../data/series-lines.ts';
import { bytes, compact, measure, percent } from '../../text/numbers.ts';

const formats: Record<Metric['unit'], (value: number) => string> = {
  share: percent,
  number: measure,
  per_second: compact,
  bytes,
};

/** A job's metrics per step, a chart each, with a common cursor and zoom. */
export function Curves({ job }: { job: FineTuningJob }) {
  const view = useCurveView();
  const { xAxis, weight, isLog, window, onWindow, formatX } = view;
  const full = useSeries(job, null);
  const metrics = useMetrics(job);
  const series = full.data ?? [];
  const inWindow = useSeries(job, windowSteps(series, window, xAxis));
  const shown = window ? (inWindow.data ?? series) : series;
  const loss = useMemo(() => lossOf(shown, xAxis, weight), [shown, xAxis, weight]);
  const charts = useMemo(
    () =>
      metrics.map((metric) => ({ metric, lines: metricLines(metric, shown, xAxis, weight, job.training) })),
    [metrics.length, shown, xAxis, weight, job.training],
  );
  if (full.error) return <Problem error={full.error} onRetry={full.refetch} />;
  // Hides metrics that the version did not measure or that belong to another objective of the task.
  const isShown = (metric: Metric) =>
    series.length === 0
      ? metric.measured.includes('step')
      : series.some((row) => metricValue(metric, row) !== null);
  const common = {
    window,
    onWindow,
    formatX,
    sync: job.id,
    range: rangeOf(series, xAxis),
    empty: full.isPending ? '' : 'No values yet',
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

function lossOf(series: Series, xAxis: XAxis, weight: number): Line[] {
  const train = series.filter(({ kind }) => kind === 'train');
  return [...lossLines(train, xAxis, weight), ...evaluationLines(series, xAxis, ({ loss }) => loss)];
}

function evaluationLines(series: Series, xAxis: XAxis, value: (row: JobMetric) => number | null): Line[] {
  const train = series.filter(({ kind }) => kind === 'train');
  const evaluations = series.filter(({ kind }) => kind === 'evaluation');
  const drawn = { name: 'evaluation', colour: 1, value, weight: 0, isSparse: true };
  return linesOf(evaluations, xAxis, [drawn], train);
}

/** Metrics that are drawn differently. */
const drawing: Record<
  string,
  { isExact?: true; value?: typeof metricValue; legend?: (training: FineTuningJob['training']) => string }
> = {
  learning_rate: { isExact: true, legend: () => 'learning rate' },
  grad_norm: {
    legend: ({ max_grad_norm: clip }) => (clip ? `before clipping at ${measure(clip)}` : 'norm'),
  },
  tokens_per_second: { legend: () => 'speed' },
  memory_bytes: {
    isExact: true,
    legend: () => 'used',
    value: (metric, row) => row.stretch?.memory_bytes_max ?? metricValue(metric, row),
  },
};

function metricLines(
  metric: Metric,
  series: Series,
  xAxis: XAxis,
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
      xAxis,
      [drawn],
    ),
    ...evaluationLines(series, xAxis, (row) => metricValue(metric, row)),
  ];
}
