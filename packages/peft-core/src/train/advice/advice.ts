import { methodOf, type PeftConfig, type ResolvedTraining } from '../../config/index.ts';
import type { Objective } from '../../objectives/objective.ts';
import { objectives } from '../../objectives/objectives.ts';
import type { TrainingRun } from '../open-run.ts';
import type { ReportOf } from '../reports.ts';
import type { Finding, LossFinding, PreferenceFinding } from './curve-watch.ts';

/** A problem with a run's options that its curves show, and the options to try instead. */
export type Advice = Omit<ReportOf<'advice'>, 'type'>;

const isOfPreferences = (finding: Finding): finding is PreferenceFinding => 'value' in finding.to;

/** Advice for the findings since the last call. */
export function* advice({ options, plan, setup, found }: TrainingRun): Generator<ReportOf<'advice'>> {
  const { peft, training } = options;
  const objective: Objective = objectives[setup.objective];
  const isKnown = training.learning_rate === training.learning_rate_if_known;
  const share = objective.rateShares?.[options.initialAdapter ? 'continued' : isKnown ? 'known' : 'fresh'];
  for (const finding of found.splice(0)) {
    const usual = methodOf(peft).learningRate(peft, setup.architecture);
    const automatic = share === undefined ? usual : Number((usual * share).toPrecision(2));
    const own = isOfPreferences(finding)
      ? preferenceAdvice(finding, training, { objective, automatic })
      : lossAdvice(finding, peft, training, { stepsPerEpoch: plan.stepsPerEpoch, automatic });
    yield { type: 'advice', ...own };
  }
}

/** `automatic`: the learning rate of a job that leaves it to Graft. */
function lossAdvice(
  { kind, from, to }: LossFinding,
  peft: PeftConfig,
  training: ResolvedTraining,
  { automatic, stepsPerEpoch }: { automatic: number; stepsPerEpoch: number },
): Advice {
  const advise = adviser(kind, to.step, training);
  const { learning_rate: rate } = training;
  const shown = (loss: number) => (loss < 0.1 ? loss.toPrecision(2) : loss.toFixed(2));
  const course = `from ${shown(from.loss)} at step ${from.step} to ${shown(to.loss)} at step ${to.step}`;
  switch (kind) {
    case 'diverging':
      return advise(`The training loss rises, ${course}: the steps seem too large`, {
        learning_rate: smallerRate(rate, automatic),
        ...(training.max_grad_norm === 0 ? { max_grad_norm: 1 } : {}),
      });
    case 'flat':
      return advise(`The training loss hardly moves, ${course}: the steps seem too small`, {
        learning_rate: largerRate(rate, automatic),
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

/** `automatic`: the learning rate of a job that leaves it to Graft. */
export function preferenceAdvice(
  { kind, from, to }: PreferenceFinding,
  training: ResolvedTraining,
  { objective, automatic }: { objective: Objective; automatic: number },
): Advice {
  const advise = adviser(kind, to.step, training);
  const { learning_rate: rate } = training;
  const shown = (value: number) => (Math.abs(value) < 0.1 ? value.toPrecision(2) : value.toFixed(2));
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

/** Returns a function that words the advice to try `options`; `why` ends the sentence. */
const adviser =
  (kind: Advice['kind'], step: number, training: ResolvedTraining) =>
  (what: string, options: Record<string, unknown>, why = ''): Advice => ({
    kind,
    step,
    message: `${what}. ${trying(options, training)}${why}.`,
    try: options,
  });

/** Such as "Try learning_rate 1e-4 instead of 1e-3, or max_grad_norm 1". Objects, such as `preference`, have a part for each option. */
function trying(options: Readonly<Record<string, unknown>>, training: ResolvedTraining): string {
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
const smallerRate = (rate: number, automatic: number): number =>
  rate > 2 * automatic ? automatic : oneDigit(rate / 3);

const largerRate = (rate: number, automatic: number): number =>
  rate < automatic / 2 ? automatic : Math.min(1, oneDigit(5 * rate));
