import type { FineTuningJob, JobMetric } from '@graft/client';
import { useMemo } from 'preact/hooks';
import { Chart } from '../../components/chart/chart.tsx';
import { CurveOptions, useCurveView } from '../../components/chart/curve-view.tsx';
import type { Line } from '../../components/chart/plot-options.ts';
import { Problem } from '../../components/problem.tsx';
import { type Series, useSeries } from '../../data/series.ts';
import { linesOf, lossLines, rangeOf, windowSteps, type XAxis } from '../../data/series-lines.ts';
import { bytes, compact, measure, percent } from '../../text/numbers.ts';

/** A job's metrics per step, in charts with a common cursor and zoom. */
export function Curves({ job }: { job: FineTuningJob }) {
  const view = useCurveView();
  const { xAxis, weight, isLog, window, onWindow, formatX } = view;
  const full = useSeries(job, null);
  const series = full.data ?? [];
  const inWindow = useSeries(job, windowSteps(series, window, xAxis));
  const shown = window ? (inWindow.data ?? series) : series;
  const lines = useMemo(() => chartLines(shown, xAxis, weight, job.training), [shown, xAxis, weight]);
  if (full.error) return <Problem error={full.error} onRetry={full.refetch} />;
  // Jobs of earlier versions have no memory metric.
  const hasMemory = series.length === 0 || series.some(({ memory_bytes }) => memory_bytes !== null);
  const common = {
    ...{ window, onWindow, formatX, sync: job.id },
    range: rangeOf(series, xAxis),
    empty: full.isPending ? '' : 'No values yet',
  };
  return (
    <section class="stack" aria-label="Curves">
      <CurveOptions view={view} />
      <Chart title="Loss" lines={lines.loss} height={300} isLog={isLog} {...common} />
      <div class="curves-grid">
        <Chart title="Token accuracy" lines={lines.accuracy} formatY={percent} {...common} />
        <Chart title="Learning rate" lines={lines.rate} formatY={measure} {...common} />
        <Chart title="Gradient norm" lines={lines.norm} {...common} />
        <Chart title="Tokens per second" lines={lines.speed} formatY={compact} {...common} />
        {hasMemory && <Chart title="Memory" lines={lines.memory} formatY={bytes} isFromZero {...common} />}
      </div>
    </section>
  );
}

function chartLines(series: Series, xAxis: XAxis, weight: number, training: FineTuningJob['training']) {
  const train = series.filter(({ kind }) => kind === 'train');
  const trainLine = (name: string, value: (metric: JobMetric) => number | null, smoothed = weight): Line[] =>
    linesOf(train, xAxis, [{ name, colour: 0, value, weight: smoothed }]);
  const evaluation = (value: (metric: JobMetric) => number | null): Line[] =>
    linesOf(
      series.filter(({ kind }) => kind === 'evaluation'),
      xAxis,
      [{ name: 'evaluation', colour: 1, value, weight: 0, isSparse: true }],
      train,
    );
  const clip = training.max_grad_norm;
  return {
    loss: [...lossLines(train, xAxis, weight), ...evaluation(({ loss }) => loss)],
    accuracy: [
      ...trainLine('training', ({ token_accuracy }) => token_accuracy),
      ...evaluation(({ token_accuracy }) => token_accuracy),
    ],
    rate: trainLine('learning rate', ({ learning_rate }) => learning_rate, 0),
    norm: trainLine(clip ? `before clipping at ${measure(clip)}` : 'norm', ({ grad_norm }) => grad_norm),
    speed: trainLine('speed', ({ tokens_per_second }) => tokens_per_second),
    memory: trainLine('used', ({ memory_bytes, stretch }) => stretch?.memory_bytes_max ?? memory_bytes, 0),
  };
}
