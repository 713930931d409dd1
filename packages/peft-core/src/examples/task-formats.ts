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
