import type { ResolvedTraining } from '../../config/index.ts';
import type { Finding } from './curve-watch.ts';

/** A problem with a run's options that its curves show, and the options to try instead. */
export interface Advice {
  kind: Finding['kind'];
  /** The step at which the problem shows. */
  step: number;
  message: string;
  /** Options of `training` or `peft` to set in the next job. */
  try: Record<string, unknown>;
}

/** Such as "Try learning_rate 1e-4 instead of 1e-3, or max_grad_norm 1". Objects, such as `preference`, have a part for each option. */
export function trying(options: Readonly<Record<string, unknown>>, training: ResolvedTraining): string {
  return `Try ${parts(options, training as Record<string, unknown>).join(', or ')}`;
}

function parts(
  options: Readonly<Record<string, unknown>>,
  used: Readonly<Record<string, unknown>>,
  prefix = '',
): string[] {
  return Object.entries(options).flatMap(([name, value]) =>
    name === 'preference'
      ? parts(value as Record<string, unknown>, (used[name] ?? {}) as Record<string, unknown>, `${name}.`)
      : instead(`${prefix}${name}`, value, used[name]),
  );
}

function instead(name: string, value: unknown, now: unknown): string {
  return now === undefined || now === null || typeof now === 'boolean'
    ? `${name} ${shownOption(value)}`
    : `${name} ${shownOption(value)} instead of ${shownOption(now)}`;
}

/** Formats small numbers in the usual notation of learning rates: 2e-4. */
const shownOption = (value: unknown): string => {
  if (Array.isArray(value)) return JSON.stringify(value);
  return typeof value === 'number' && value > 0 && value < 0.01 ? value.toExponential() : String(value);
};

const oneDigit = (value: number): number => Number(value.toPrecision(1));

/** `automatic`: the learning rate of a job that leaves it to Graft. */
export const smallerRate = (rate: number, automatic: number): number =>
  rate > 2 * automatic ? automatic : oneDigit(rate / 3);

export const largerRate = (rate: number, automatic: number): number =>
  rate < automatic / 2 ? automatic : Math.min(1, oneDigit(5 * rate));
