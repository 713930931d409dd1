import { GraftError } from '../errors.ts';
import { EVAL_LOSS } from './metrics.ts';
import type { Objective } from './objective.ts';
import { objectiveOf } from './objectives.ts';

/**
 * Throws GraftError `invalid_training_option` for options of `training` that do not apply to the objective of the method on lines of
 * this format, and `unsupported_method` if the method does not train on them.
 */
export function checkObjectiveOptions(
  training: { metric_for_best_model?: string } & Record<string, unknown>,
  format: string,
  method: string | null = null,
): void {
  const { metrics, examples, refuses = {} }: Objective = objectiveOf(format, method);
  const { metric_for_best_model: best = EVAL_LOSS } = training;
  if (best !== EVAL_LOSS && !metrics.some(({ forBestModel }) => forBestModel === best))
    throw invalid(
      'metric_for_best_model',
      `${best} is not measured of ${examples ?? `${format} examples`}; use ${EVAL_LOSS}`,
    );
  for (const [option, why] of Object.entries(refuses)) if (training[option]) throw invalid(option, why);
}

function invalid(option: string, message: string): GraftError {
  const param = `training.${option}`;
  return new GraftError('invalid_training_option', `${param}: ${message}`, { param });
}
