import { methodOf, type PeftConfig, type ResolvedTraining } from '../../config/index.ts';
import type { RatedModel } from '../../tuners/method.ts';
import type { Finding } from './curve-watch.ts';

/** A problem with a run's options that its loss curve shows, and the options to try instead. */
export interface Advice {
  kind: Finding['kind'];
  /** The step at which the problem shows. */
  step: number;
  message: string;
  /** Options of `training` or `peft` to set in the next job. */
  try: Record<string, unknown>;
}

export function adviceOf(
  { kind, from, to }: Finding,
  peft: PeftConfig,
  training: ResolvedTraining,
  stepsPerEpoch: number,
  model: RatedModel,
): Advice {
  const advise = (what: string, options: Record<string, unknown>, why = ''): Advice => {
    const asked = Object.entries(options).map(([name, value]) => instead(name, value, training));
    return { kind, step: to.step, message: `${what}. Try ${asked.join(', or ')}${why}.`, try: options };
  };
  const automatic = methodOf(peft).learningRate(peft, model);
  const { learning_rate: rate } = training;
  const course = `from ${shown(from.loss)} at step ${from.step} to ${shown(to.loss)} at step ${to.step}`;
  switch (kind) {
    case 'diverging':
      return advise(`The training loss rises, ${course}: the steps seem too large`, {
        learning_rate: rate > 2 * automatic ? automatic : oneDigit(rate / 3),
        ...(training.max_grad_norm === 0 ? { max_grad_norm: 1 } : {}),
      });
    case 'flat':
      return advise(`The training loss hardly moves, ${course}: the steps seem too small`, {
        learning_rate: rate < automatic / 2 ? automatic : Math.min(1, oneDigit(5 * rate)),
      });
    case 'no_gradient': {
      const { peft_type } = peft;
      const message = `The gradient has been nil in all ${to.step} steps: what is trained has no effect on the loss. Try peft ${JSON.stringify({ peft_type })}, which has the method's defaults.`;
      return { kind, step: to.step, message, try: { peft_type } };
    }
    case 'overfitting': {
      const what = `The validation loss rises, ${course}, while the training loss falls: the examples are being memorised`;
      const epochs = Math.ceil(from.step / stepsPerEpoch);
      // max_steps overrides n_epochs, so a lower n_epochs helps only without it.
      const isShorter = epochs < training.n_epochs && training.max_steps === null;
      const end = isShorter ? { n_epochs: epochs } : { max_steps: from.step };
      if (!training.load_best_model_at_end) return advise(what, { ...end, load_best_model_at_end: true });
      return advise(
        what,
        end,
        `; the adapter of step ${from.step} is published, so the steps after it are for nothing`,
      );
    }
  }
}

function instead(name: string, value: unknown, training: ResolvedTraining): string {
  const now = (training as Record<string, unknown>)[name];
  return now === null || typeof now === 'boolean'
    ? `${name} ${value}`
    : `${name} ${shownOption(value)} instead of ${shownOption(now)}`;
}

/** Formats small numbers in the usual notation of learning rates: 2e-4. */
const shownOption = (value: unknown): string =>
  typeof value === 'number' && value > 0 && value < 0.01 ? value.toExponential() : String(value);

const shown = (loss: number): string => (loss < 0.1 ? loss.toPrecision(2) : loss.toFixed(2));

const oneDigit = (value: number): number => Number(value.toPrecision(1));
