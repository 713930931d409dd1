import { GraftError } from '../errors.ts';
import type { TaskType } from '../outlines/outline.ts';
import { type FormatName, formatOf, formats } from './formats/formats.ts';

/** Throws `data_unfit_for_task`, naming both, if a task cannot train on data of this format. */
export function checkFormat(task: TaskType, name: FormatName, param = 'training_file'): void {
  const { tasks, fields } = formatOf(name);
  if (tasks.includes(task)) return;
  const fit = formats
    .filter((format) => format.tasks.includes(task))
    // Formats whose usual task this is come first.
    .toSorted((a, b) => a.tasks.indexOf(task) - b.tasks.indexOf(task));
  throw new GraftError(
    'data_unfit_for_task',
    `task_type ${task} learns from lines of ${fit.map((format) => format.fields).join(' or ')}, but the file has ${fields}`,
    { param },
  );
}
