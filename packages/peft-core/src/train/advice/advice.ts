import { methodOf, type PeftConfig, type ResolvedTraining } from '../../config/index.ts';
import type { Objective } from '../../objectives/objective.ts';
import { type ObjectiveName, objectives } from '../../objectives/objectives.ts';
import type { RatedModel } from '../../tuners/method.ts';
import type { Finding, LossFinding } from './curve-watch.ts';
import { preferenceAdvice } from './preference-advice.ts';
import type { PreferenceFinding } from './preference-watch.ts';
import { type Advice, largerRate, smallerRate, trying } from './tried-options.ts';

const isOfPreferences = (finding: Finding): finding is PreferenceFinding => 'value' in finding.to;

export function adviceOf(
  finding: Finding,
  peft: PeftConfig,
  training: ResolvedTraining,
  run: { stepsPerEpoch: number; model: RatedModel; objective: ObjectiveName; continues: boolean },
): Advice {
  const objective: Objective = objectives[run.objective];
  const isKnown = training.learning_rate === training.learning_rate_if_known;
  const share = objective.rateShares?.[run.continues ? 'continued' : isKnown ? 'known' : 'fresh'];
  const usual = methodOf(peft).learningRate(peft, run.model);
  const automatic = share === undefined ? usual : Number((usual * share).toPrecision(2));
  return isOfPreferences(finding)
    ? preferenceAdvice(finding, training, { objective, automatic })
    : lossAdvice(finding, peft, training, { ...run, automatic });
}

/** `automatic`: the learning rate of a job that leaves it to Graft. */
function lossAdvice(
  { kind, from, to }: LossFinding,
  peft: PeftConfig,
  training: ResolvedTraining,
  { automatic, stepsPerEpoch }: { automatic: number; stepsPerEpoch: number },
): Advice {
  const advise = (what: string, options: Record<string, unknown>, why = ''): Advice => {
    const message = `${what}. ${trying(options, training)}${why}.`;
    return { kind, step: to.step, message, try: options };
  };
  const { learning_rate: rate } = training;
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

const shown = (loss: number): string => (loss < 0.1 ? loss.toPrecision(2) : loss.toFixed(2));
