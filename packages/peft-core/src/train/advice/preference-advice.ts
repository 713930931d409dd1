import type { ResolvedTraining } from '../../config/index.ts';
import type { Objective } from '../../objectives/objective.ts';
import type { PreferenceFinding } from './preference-watch.ts';
import { type Advice, largerRate, smallerRate, trying } from './tried-options.ts';

/** `automatic`: the learning rate of a job that leaves it to Graft. */
export function preferenceAdvice(
  { kind, from, to }: PreferenceFinding,
  training: ResolvedTraining,
  { objective, automatic }: { objective: Objective; automatic: number },
): Advice {
  const { learning_rate: rate } = training;
  const advise = (what: string, options: Record<string, unknown>, rest = ''): Advice => {
    const message = `${what}. ${trying(options, training)}${rest}.`;
    return { kind, step: to.step, message, try: options };
  };
  const course = `from ${shown(from.value)} at step ${from.step} to ${shown(to.value)} at step ${to.step}`;
  switch (kind) {
    case 'undecided':
      return advise(
        `The reward accuracy is still ${shown(to.value)} at step ${to.step}, like that of guesses: no preference is learned`,
        { learning_rate: largerRate(rate, automatic) },
        '; if that does not help, look for pairs that contradict each other',
      );
    case 'margin_exploding':
      return advise(
        `The reward margin rises, ${course}, while every validation pair is ranked right already: the model only moves further away from what it was`,
        { learning_rate: smallerRate(rate, automatic), ...held(training, objective) },
      );
    case 'chosen_unlikely':
      return advise(
        `The log-probability of chosen completions falls, ${course}: the model unlearns them together with the rejected ones`,
        { learning_rate: smallerRate(rate, automatic), ...withLikelihood(training, objective) },
      );
  }
}

/** Above this beta margins are large because of it. */
const largeBeta = 0.5;

/** Twice the beta, where it holds the model to a reference: the same margin is then reached nearer to it. */
function held({ preference }: ResolvedTraining, { passes }: Objective): Record<string, unknown> {
  const beta = preference?.beta;
  return passes.includes('reference') && typeof beta === 'number' && beta <= largeBeta
    ? { preference: { beta: 2 * beta } }
    : {};
}

/** A term of the loss that learns chosen completions, where the method has one and the run had not. */
function withLikelihood(training: ResolvedTraining, objective: Objective): Record<string, unknown> {
  const { loss_type: type, loss_weights: weights, cpo_alpha: alpha } = training.preference ?? {};
  if (alpha === 0) return { preference: { cpo_alpha: 1 } };
  const types = [type ?? []].flat();
  if (types.length === 0 || types.includes('sft')) return held(training, objective);
  const own = Array.isArray(weights) ? weights : types.map(() => 1);
  return { preference: { loss_type: [...types, 'sft'], loss_weights: [...own, 1] } };
}

const shown = (value: number): string => (Math.abs(value) < 0.1 ? value.toPrecision(2) : value.toFixed(2));
