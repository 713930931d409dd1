import type { TrainingOptions } from '../config/index.ts';
import { GraftError } from '../errors.ts';
import type { TaskType } from '../outlines/outline.ts';
import { type FormatName, formatOf, formats } from './formats/formats.ts';

/** Throws `data_unfit_for_task`, naming both, when a task does not learn from data of this format. */
export function checkFormat(task: TaskType, name: FormatName, param = 'training_file'): void {
  const { tasks, fields } = formatOf(name);
  if (tasks.includes(task)) return;
  const fit = formats
    .filter((format) => format.tasks.includes(task))
    // Those that usually serve the task first.
    .toSorted((a, b) => a.tasks.indexOf(task) - b.tasks.indexOf(task));
  throw new GraftError(
    'data_unfit_for_task',
    `task_type ${task} learns from lines of ${fit.map((format) => format.fields).join(' or ')}, but the file has ${fields}`,
    { param },
  );
}

/** Measures of how well a pair's positive is found among others. */
const RETRIEVAL: readonly TrainingOptions['metric_for_best_model'][] = [
  'eval_recall_at_1',
  'eval_recall_at_10',
  'eval_mrr',
];

/** Throws GraftError `invalid_training_option` for options that have no meaning for data of this kind. */
export function checkOptionsOfFormat(
  training: Pick<TrainingOptions, 'metric_for_best_model' | 'label_smoothing_factor' | 'class_weights'>,
  format: FormatName,
): void {
  checkBestMetric(training, format);
  if (format !== 'multi_label_classification') return;
  for (const option of ['label_smoothing_factor', 'class_weights'] as const)
    if (training[option])
      throw new GraftError(
        'invalid_training_option',
        `training.${option}: is of classes of which a text has one, and here it may have several`,
        { param: `training.${option}` },
      );
}

/** Of scored pairs none is right or wrong, and only pairs are found among others. */
function checkBestMetric(
  { metric_for_best_model: metric }: Pick<TrainingOptions, 'metric_for_best_model'>,
  format: FormatName,
): void {
  const isMeasured = RETRIEVAL.includes(metric)
    ? format === 'pairs'
    : metric !== 'eval_accuracy' || format !== 'scored_pairs';
  if (isMeasured) return;
  const what = format === 'scored_pairs' ? 'scored pairs' : `${format} examples`;
  throw new GraftError(
    'invalid_training_option',
    `training.metric_for_best_model: ${metric} is not measured of ${what}; use eval_loss`,
    { param: 'training.metric_for_best_model' },
  );
}
