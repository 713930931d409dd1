import {
  optimizerSteps,
  type ResolvedTraining,
  rungsOf,
  sweepSteps,
  validationCount,
} from '@graft/peft-core/config';

/**
 * What a job trains at most: the tokens of its training file, a validation split included, times its epochs, or the part of them that
 * `max_steps` comes to; of a sweep, of so many `trials`, the steps of all. `examples`: lines of the file.
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
