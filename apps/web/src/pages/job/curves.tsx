import type { FineTuningJob, JobMetric } from '@graft/client';
import { useMemo } from 'preact/hooks';
import { Button } from '../../components/button.tsx';
import { Chart } from '../../components/chart/chart.tsx';
import type { Line } from '../../components/chart/plot-options.ts';
import { Checkbox, Choice } from '../../components/field.tsx';
import { Problem } from '../../components/problem.tsx';
import { type Series, useSeries } from '../../data/series.ts';
import { useQueryState } from '../../router/query-state.ts';
import { count, measure, percent, rough } from '../../text/numbers.ts';
import { span } from '../../text/times.ts';
import { type Along, linesOf, lossLines, windowSteps } from './series-lines.ts';

const smoothings = [
  ['0', 'As it is'],
  ['0.6', 'Smooth'],
  ['0.95', 'Smoother'],
] as const;

/** What was measured at each step: one cursor over all, zoomed together. */
export function Curves({ job }: { job: FineTuningJob }) {
  const [state, setState] = useQueryState({ smooth: '0', log: '', along: 'step', from: '', to: '' });
  const along: Along = state.along === 'time' ? 'time' : 'step';
  const window = state.from && state.to ? ([Number(state.from), Number(state.to)] as const) : null;
  const whole = useSeries(job, null);
  const series = whole.data ?? [];
  const inWindow = useSeries(job, windowSteps(series, window, along));
  const shown = window ? (inWindow.data ?? series) : series;
  const weight = Number(state.smooth) || 0;
  const lines = useMemo(() => chartsOf(shown, along, weight, job.training), [shown, along, weight]);

  if (whole.error) return <Problem error={whole.error} onRetry={whole.refetch} />;
  const formatX = along === 'step' ? count : span;
  const common = {
    window,
    onWindow: (next: readonly [number, number] | null) =>
      setState({ from: next && String(Math.round(next[0])), to: next && String(Math.round(next[1])) }),
    sync: job.id,
    formatX,
    empty: whole.isPending ? '' : 'No values yet',
  };
  return (
    <section class="stack" aria-label="Curves">
      <div class="row curves-options">
        <Choice
          label="Along"
          value={along}
          onValue={(next) => setState({ along: next, from: null, to: null })}
          options={[
            ['step', 'Steps'],
            ['time', 'Time'],
          ]}
        />
        <Choice
          label="Smoothing"
          value={state.smooth}
          onValue={(smooth) => setState({ smooth })}
          options={smoothings}
        />
        <Checkbox
          label="Logarithmic loss"
          checked={state.log === '1'}
          onChecked={(on) => setState({ log: on ? '1' : null })}
        />
        {window ? (
          <Button small icon="close" onClick={() => common.onWindow(null)}>
            {formatX(window[0])} to {formatX(window[1])}: show all
          </Button>
        ) : (
          <span class="small soft">Drag over a curve to look closer.</span>
        )}
      </div>
      <Chart title="Loss" lines={lines.loss} height={300} isLog={state.log === '1'} {...common} />
      <div class="curves-grid">
        <Chart title="Token accuracy" lines={lines.accuracy} formatY={percent} {...common} />
        <Chart title="Learning rate" lines={lines.rate} formatY={measure} {...common} />
        <Chart title="Gradient norm" lines={lines.norm} {...common} />
        <Chart title="Tokens per second" lines={lines.speed} formatY={rough} {...common} />
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
  };
}
