import { GraftError } from '../errors.ts';
import type { TaskType } from '../outlines/outline.ts';
import { isRecord } from '../schema/check-fields.ts';
import { defaultPeft } from '../tuners/methods.ts';
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

/** The tasks that train on lines of a format, the usual one first; null: the format is unknown. */
const tasksOf = (format: string | null): readonly TaskType[] =>
  formats.find(({ name }) => name === format)?.tasks ?? [];

/** Returns true if the base model decides the task: the request names none, and several train on its lines. */
export const needsModelTask = (given: unknown, format: string | null): boolean =>
  (!isRecord(given) || (given.task_type ?? null) === null) && tasksOf(format).length > 1;

/**
 * The `peft` of a request with a method, the default one where it names none, and with the task that trains on the lines of its files, which
 * is the model's own where several do. Undefined stands for the default method and the usual task; invalid input is returned unchanged.
 */
export function inferPeft(given: unknown, format: string | null, modelTask: TaskType | null): unknown {
  if (given !== undefined && !isRecord(given)) return given;
  const tasks = tasksOf(format);
  const [usual = 'CAUSAL_LM'] = tasks;
  const task = modelTask !== null && tasks.includes(modelTask) ? modelTask : usual;
  const inferred = (given?.task_type ?? null) === null && task !== 'CAUSAL_LM' ? { task_type: task } : {};
  const peft = { peft_type: defaultPeft.peft_type, ...withoutNull(given ?? {}), ...inferred };
  return given === undefined && Object.keys(peft).length === 1 ? undefined : peft;
}

/** A null `peft_type` or `task_type` counts as left out. */
const withoutNull = (given: Record<string, unknown>) =>
  Object.fromEntries(
    Object.entries(given).filter(
      ([name, value]) => value !== null || (name !== 'peft_type' && name !== 'task_type'),
    ),
  );
