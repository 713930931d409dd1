import {
  optimizerSteps,
  type ResolvedTraining,
  rungsOf,
  sweepSteps,
  validationCount,
} from '@graft/peft-core/config';

/**
 * Maximum tokens that a job trains on: the tokens of its training file, a validation split included, times its epochs, or the share that
 * `max_steps` covers; for a sweep of `trials` trials, the steps of all trials. `examples`: lines of the file.
 */
export function plannedTokens(
  training: ResolvedTraining,
  examples: number,
  tokens: number,
  trials = 0,
): number {
  const trained = Math.max(1, examples - validationCount(examples, training.validation_split));
  const { steps, stepsPerEpoch } = optimizerSteps(trained, training);
  const all = trials > 0 ? sweepSteps(trials, rungsOf(trials, steps, training.eval_steps)) : steps;
  return Math.ceil((tokens * all) / stepsPerEpoch);
}
