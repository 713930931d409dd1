import { GraftError } from '../errors.ts';
import { EVAL_LOSS, isSetMetric, metricOfSet, setMetric } from './metrics.ts';
import type { Objective } from './objective.ts';
import { type ListedObjective, objectiveOf } from './objectives.ts';

/**
 * Returns the objective of the method on lines of this format. `sets`: the names of validation files. Throws GraftError `invalid_training_option` for options of `training` that do not apply to it, and `unsupported_method` if the method does not train on them.
 */
export function checkObjectiveOptions(
  training: { metric_for_best_model?: string } & Record<string, unknown>,
  format: string,
  method: string | null = null,
  sets: readonly string[] = [],
): ListedObjective {
  const objective = objectiveOf(format, method);
  const { metrics, examples, refuses = {} }: Objective = objective;
  const { metric_for_best_model: best = EVAL_LOSS } = training;
  const measured = metricOfSet(best, sets) ?? best;
  if (measured !== EVAL_LOSS && isSetMetric(best) && measured === best)
    throw invalid(
      'metric_for_best_model',
      sets.length > 0
        ? `${best} is a metric of no validation file; they are named ${sets.join(', ')}: use ${setMetric(sets[0]!, 'loss')}, or ${EVAL_LOSS} for all`
        : `${best} is of one of several validation_files, and the job has none with a name; use ${EVAL_LOSS}`,
    );
  if (measured !== EVAL_LOSS && !metrics.some(({ forBestModel }) => forBestModel === measured))
    throw invalid(
      'metric_for_best_model',
      `${best} is not measured of ${examples ?? `${format} examples`}; use ${EVAL_LOSS}`,
    );
  for (const [option, why] of Object.entries(refuses)) if (training[option]) throw invalid(option, why);
  return objective;
}

function invalid(option: string, message: string): GraftError {
  const param = `training.${option}`;
  return new GraftError('invalid_training_option', `${param}: ${message}`, { param });
}
