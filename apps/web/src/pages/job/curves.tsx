import type { FineTuningJob, JobMetric } from '@graft/client';
import type { ComponentProps } from 'preact';
import { useMemo } from 'preact/hooks';
import { Chart } from '../../components/chart/chart.tsx';
import { CurveOptions, useCurveView } from '../../components/chart/curve-view.tsx';
import type { Line } from '../../components/chart/plot-options.ts';
import { Problem } from '../../components/problem.tsx';
import { type Metric, metricValue, useMetrics } from '../../data/metrics.ts';
import { type Series, useSeries } from '../../data/series.ts';
import {
  evaluationLines,
  rangeOf,
  trainingLines,
  trainingLoss,
  trialSeries,
  windowSteps,
  type XAxis,
} from '../../data/series-lines.ts';
import { metricFormats } from '../../text/metric-formats.ts';
import { measure } from '../../text/numbers.ts';

/** A job's metrics per step; of a sweep, those of its trials on one axis. */
export const Curves = ({ job }: { job: FineTuningJob }) =>
  job.sweep ? <SweepCurves job={job} /> : <JobCurves job={job} />;

/** Training and evaluation losses, and what evaluations measure, with a line for each trial. */
function SweepCurves({ job }: { job: FineTuningJob }) {
  const view = useCurveView();
  const { xAxis, weight, isLog, window, onWindow, formatX } = view;
  const { data = noSeries, error, refetch, isPending } = useSeries(job, null);
  const metrics = useMetrics(job);
  const trials = useMemo(() => trialSeries(data), [data]);
  const lines = useMemo(() => {
    const evaluations = (value: (row: JobMetric) => number | null) =>
      trials.flatMap(({ series, ...trial }) => evaluationLines(series, xAxis, { ...trial, value }));
    return {
      training: trials.flatMap(({ series, ...trial }) =>
        trainingLines(series, xAxis, { ...trial, value: trainingLoss }, weight),
      ),
      evaluation: evaluations(({ loss }) => loss),
      metrics: metrics
        .filter(({ measured }) => measured.includes('evaluation'))
        .map((metric) => ({ metric, lines: evaluations((row) => metricValue(metric, row)) }))
        .filter(({ lines }) => lines.length > 0),
    };
  }, [trials, xAxis, weight, metrics.length]);
  if (error) return <Problem error={error} onRetry={refetch} />;
  const ends = trials.flatMap(({ series }) => rangeOf(series, xAxis) ?? []);
  const common = {
    window,
    onWindow,
    formatX,
    sync: job.id,
    range: ends.length > 0 ? ([Math.min(...ends), Math.max(...ends)] as const) : null,
    empty: isPending ? '' : 'No values yet',
  };
  return (
    <section class="stack" aria-label="Curves">
      <CurveOptions view={view} />
      <Chart title="Evaluation loss" lines={lines.evaluation} height={300} isLog={isLog} {...common} />
      <Chart title="Training loss" lines={lines.training} height={300} isLog={isLog} {...common} />
      <div class="curves-grid">
        {lines.metrics.map(({ metric, lines }) => (
          <MetricChart key={metric.name} metric={metric} lines={lines} {...common} />
        ))}
      </div>
    </section>
  );
}

const noSeries: Series = [];

/** Metrics per step, a chart each, with a common cursor and zoom. */
function JobCurves({ job }: { job: FineTuningJob }) {
  const view = useCurveView();
  const { xAxis, weight, isLog, window, onWindow, formatX } = view;
  const full = useSeries(job, null);
  const metrics = useMetrics(job);
  const series = full.data ?? [];
  const inWindow = useSeries(job, windowSteps(series, window, xAxis));
  const shown = window ? (inWindow.data ?? series) : series;
  const sets = job.validation_files ?? noSets;
  const loss = useMemo(() => lossOf(shown, xAxis, weight, sets), [shown, xAxis, weight, sets.length]);
  const charts = useMemo(
    () =>
      metrics.map((metric) => ({
        metric,
        lines: [
          ...metricLines(metric, shown, xAxis, weight, job.training),
          ...setLines(shown, xAxis, sets, metric.name === 'token_accuracy' ? 'accuracy' : metric.name),
        ],
      })),
    [metrics.length, shown, xAxis, weight, job.training, sets.length],
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
          .map(({ metric, lines }) => (
            <MetricChart key={metric.name} metric={metric} lines={lines} {...common} />
          ))}
      </div>
    </section>
  );
}

const MetricChart = ({
  metric: { label, unit, better },
  ...chart
}: Omit<ComponentProps<typeof Chart>, 'title'> & { metric: Metric }) => (
  <Chart
    title={label}
    note={better === null ? '' : `${better} is better`}
    formatY={metricFormats[unit]}
    isFromZero={unit === 'bytes'}
    isShare={unit === 'share'}
    {...chart}
  />
);

type Sets = NonNullable<FineTuningJob['validation_files']>;
const noSets: Sets = [];

function lossOf(series: Series, xAxis: XAxis, weight: number, sets: Sets): Line[] {
  const evaluation = { ...evaluationCurve, value: ({ loss }: JobMetric) => loss };
  return [
    ...trainingLines(series, xAxis, { name: 'training', colour: 0, value: trainingLoss }, weight),
    ...evaluationLines(series, xAxis, evaluation),
    ...setLines(series, xAxis, sets, 'loss'),
  ];
}

const evaluationCurve = { name: 'evaluation', colour: 1 };

const setLines = (series: Series, xAxis: XAxis, sets: Sets, metric: string): Line[] =>
  sets.flatMap(({ name }, i) => {
    const value = ({ metrics }: JobMetric) => metrics[`eval_${name}_${metric}`] ?? null;
    return evaluationLines(series, xAxis, { name, colour: i + 2, value });
  });

/** Metrics that are drawn differently. */
const drawing: Record<
  string,
  { isExact?: true; value?: typeof metricValue; legend?: (training: FineTuningJob['training']) => string }
> = {
  learning_rate: { isExact: true, legend: () => 'learning rate' },
  grad_norm: { legend: ({ max_grad_norm: clip }) => (clip ? `before clipping at ${measure(clip)}` : 'norm') },
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
  const curve = {
    name: legend?.(training) ?? 'training',
    colour: 0,
    value: (row: JobMetric) => value(metric, row),
  };
  const evaluation = { ...evaluationCurve, value: (row: JobMetric) => metricValue(metric, row) };
  return [
    ...trainingLines(series, xAxis, curve, isExact ? 0 : weight),
    ...evaluationLines(series, xAxis, evaluation),
  ];
}
