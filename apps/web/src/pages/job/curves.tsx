import type { FineTuningJob, JobMetric } from '@graft/client';
import { useMemo } from 'preact/hooks';
import { Chart } from '../../components/chart/chart.tsx';
import { CurveOptions, useCurveView } from '../../components/chart/curve-view.tsx';
import type { Line } from '../../components/chart/plot-options.ts';
import { Problem } from '../../components/problem.tsx';
import { type Series, useSeries } from '../../data/series.ts';
import { type Along, linesOf, lossLines, rangeOf, windowSteps } from '../../data/series-lines.ts';
import { bytes, measure, percent, rough } from '../../text/numbers.ts';

/** What was measured at each step: one cursor over all, zoomed together. */
export function Curves({ job }: { job: FineTuningJob }) {
  const view = useCurveView();
  const { along, weight, isLog, window, onWindow, formatX } = view;
  const whole = useSeries(job, null);
  const series = whole.data ?? [];
  const inWindow = useSeries(job, windowSteps(series, window, along));
  const shown = window ? (inWindow.data ?? series) : series;
  const lines = useMemo(() => chartsOf(shown, along, weight, job.training), [shown, along, weight]);
  if (whole.error) return <Problem error={whole.error} onRetry={whole.refetch} />;
  // Of a version that did not say there is none.
  const hasMemory = series.length === 0 || series.some(({ memory_bytes }) => memory_bytes !== null);
  const common = {
    ...{ window, onWindow, formatX, sync: job.id },
    range: rangeOf(series, along),
    empty: whole.isPending ? '' : 'No values yet',
  };
  return (
    <section class="stack" aria-label="Curves">
      <CurveOptions view={view} />
      <Chart title="Loss" lines={lines.loss} height={300} isLog={isLog} {...common} />
      <div class="curves-grid">
        <Chart title="Token accuracy" lines={lines.accuracy} formatY={percent} {...common} />
        <Chart title="Learning rate" lines={lines.rate} formatY={measure} {...common} />
        <Chart title="Gradient norm" lines={lines.norm} {...common} />
        <Chart title="Tokens per second" lines={lines.speed} formatY={rough} {...common} />
        {hasMemory && <Chart title="Memory" lines={lines.memory} formatY={bytes} isFromZero {...common} />}
      </div>
    </section>
  );
}

function chartsOf(series: Series, along: Along, weight: number, training: FineTuningJob['training']) {
  const train = series.filter(({ kind }) => kind === 'train');
  const of = (name: string, value: (metric: JobMetric) => number | null, smoothed = weight): Line[] =>
    linesOf(train, along, [{ name, colour: 0, value, weight: smoothed }]);
  const evaluation = (value: (metric: JobMetric) => number | null): Line[] =>
    linesOf(
      series.filter(({ kind }) => kind === 'evaluation'),
      along,
      [{ name: 'evaluation', colour: 1, value, weight: 0, isSparse: true }],
      train,
    );
  const clip = training.max_grad_norm;
  return {
    loss: [...lossLines(train, along, weight), ...evaluation(({ loss }) => loss)],
    accuracy: [
      ...of('training', ({ token_accuracy }) => token_accuracy),
      ...evaluation(({ token_accuracy }) => token_accuracy),
    ],
    rate: of('learning rate', ({ learning_rate }) => learning_rate, 0),
    norm: of(clip ? `before it is cut at ${measure(clip)}` : 'norm', ({ grad_norm }) => grad_norm),
    speed: of('speed', ({ tokens_per_second }) => tokens_per_second),
    memory: of('held', ({ memory_bytes, stretch }) => stretch?.memory_bytes_max ?? memory_bytes, 0),
  };
}
