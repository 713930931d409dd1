import type { LossPoint } from './loss-chart.ts';
import { drawLossCurve } from './loss-curve.ts';
import type { Paint } from './paint.ts';
import { progressBar } from './paint.ts';
import { count, duration, loss } from './quantities.ts';

export interface TrainingState {
  title: string;
  /** Status of the job, or the current activity. */
  status: string;
  step: number;
  totalSteps: number | null;
  /** Completed epochs, and the total number. */
  epoch: number | null;
  epochs: number | null;
  tokens: number | null;
  tokensPerSecond: number | null;
  secondsRemaining: number | null;
  training: LossPoint[];
  evaluation: LossPoint[];
}

interface Screen {
  columns: number;
  rows: number;
  paint: Paint;
}

const TALLEST_CURVE = 14;
const SHORTEST_CURVE = 6;
const WIDEST_CURVE = 100;
/** Number of lines besides the curve: title, bar, numbers, empty lines, the hint, and the shell's prompt. */
const OTHER_LINES = 7;

/** The lines of a run's display: title, bar, numbers, loss curve, hint. */
export function trainingView(state: TrainingState, hint: string, screen: Screen): string[] {
  const { paint } = screen;
  const lines = [`${paint.bold(state.title)}  ${state.status}`];
  if (state.totalSteps === null) return [...lines, '', paint.dim(hint)];

  const barWidth = Math.max(10, Math.min(40, screen.columns - 40));
  const part = state.step / Math.max(1, state.totalSteps);
  lines.push(
    `${progressBar(part, barWidth, paint)}  ${Math.floor(part * 100)} %  step ${count(state.step)}/${count(state.totalSteps)}${epochText(state)}`,
    numbers(state).join('   '),
  );
  const height = Math.min(TALLEST_CURVE, screen.rows - OTHER_LINES);
  if (height >= SHORTEST_CURVE && state.training.length + state.evaluation.length > 0) {
    const curve = drawLossCurve(state.training, {
      width: Math.min(WIDEST_CURVE, screen.columns - 1),
      height,
      evaluation: state.evaluation,
      totalSteps: state.totalSteps,
      paint,
    });
    lines.push('', ...curve.split('\n'));
  }
  return [...lines, '', paint.dim(hint)];
}

export function trainingLine(state: TrainingState): string {
  if (state.totalSteps === null) return state.status;
  return [`step ${state.step}/${state.totalSteps}`, ...numbers(state)].join('  ');
}

function epochText({ epoch, epochs }: TrainingState): string {
  if (epoch === null) return '';
  return `  epoch ${epoch.toFixed(1)}${epochs === null ? '' : `/${epochs}`}`;
}

function numbers(state: TrainingState): string[] {
  const training = state.training.at(-1);
  const evaluation = state.evaluation.at(-1);
  return [
    ...(training === undefined ? [] : [`loss ${loss(training.loss)}`]),
    ...(evaluation === undefined ? [] : [`validation ${loss(evaluation.loss)}`]),
    ...named(evaluation?.metrics ?? {}),
    ...(state.tokensPerSecond === null ? [] : [`${count(state.tokensPerSecond)} tokens/s`]),
    ...(state.tokens === null ? [] : [`${count(state.tokens)} tokens`]),
    ...(state.secondsRemaining === null ? [] : [`${duration(state.secondsRemaining)} left`]),
  ];
}

/** Omits `token_accuracy`, which every job has, where the objective reports it as `accuracy`. */
function named(metrics: Readonly<Record<string, number>>): string[] {
  const own = Object.entries(metrics).filter(
    ([name]) => name !== 'token_accuracy' || !('accuracy' in metrics),
  );
  return own.map(([name, value]) => `${name} ${loss(value)}`);
}
