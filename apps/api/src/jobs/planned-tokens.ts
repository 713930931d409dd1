import { type ResolvedTraining, validationCount } from '@graft/peft-core/config';

/**
 * What a job trains at most: the tokens of its training file, a validation split included, times its epochs, or the part of them that
 * `max_steps` comes to. `examples`: lines of the file.
 */
export function plannedTokens(training: ResolvedTraining, examples: number, tokens: number): number {
  const { n_epochs, batch_size, gradient_accumulation_steps, max_steps, validation_split } = training;
  const trained = Math.max(1, examples - validationCount(examples, validation_split));
  const stepsPerEpoch = Math.ceil(trained / (batch_size * gradient_accumulation_steps));
  const epochs = max_steps === null ? n_epochs : Math.min(n_epochs, max_steps / stepsPerEpoch);
  return Math.ceil(tokens * epochs);
}
