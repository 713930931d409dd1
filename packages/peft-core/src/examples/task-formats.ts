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
