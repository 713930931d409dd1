import type { TrainingOptions } from '../config/index.ts';
import { GraftError } from '../errors.ts';
import type { TaskType } from '../outlines/outline.ts';
import type { DatasetFormat } from './raw-example.ts';

/** The kinds of data that each task learns from. */
const TASK_FORMATS: Record<TaskType, readonly DatasetFormat[]> = {
  CAUSAL_LM: ['chat', 'prompt_completion', 'text'],
  SEQ_2_SEQ_LM: ['text_target', 'prompt_completion'],
  SEQ_CLS: ['classification', 'multi_label_classification'],
  TOKEN_CLS: ['token_classification'],
  FEATURE_EXTRACTION: ['pairs', 'scored_pairs'],
};

/** Fields of a line of each kind. */
const FIELDS: Record<DatasetFormat, string> = {
  chat: '{"messages"}',
  prompt_completion: '{"prompt", "completion"}',
  text: '{"text"}',
  text_target: '{"text", "target"}',
  classification: '{"text", "label"}',
  multi_label_classification: '{"text", "labels"}',
  token_classification: '{"tokens", "labels"}',
  pairs: '{"anchor", "positive"}',
  scored_pairs: '{"sentence1", "sentence2", "score"}',
};

/** Every kind of data. */
export const DATASET_FORMATS = Object.keys(FIELDS) as DatasetFormat[];

/** The tasks that learn from data of this kind. */
export function tasksOf(format: DatasetFormat): TaskType[] {
  const tasks = Object.keys(TASK_FORMATS) as TaskType[];
  return tasks.filter((task) => TASK_FORMATS[task].includes(format));
}

/** Throws `data_unfit_for_task`, naming both, when a task does not learn from data of this kind. */
export function checkFormat(task: TaskType, format: DatasetFormat, param = 'training_file'): void {
  const fit = TASK_FORMATS[task];
  if (fit.includes(format)) return;
  throw new GraftError(
    'data_unfit_for_task',
    `task_type ${task} learns from lines of ${fit.map((each) => FIELDS[each]).join(' or ')}, but the file has ${FIELDS[format]}`,
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
  format: DatasetFormat,
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
  format: DatasetFormat,
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
