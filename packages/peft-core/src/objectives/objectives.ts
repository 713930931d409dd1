import { type Static, type TProperties, type TSchema, Type } from 'typebox';
import { GraftError } from '../errors.ts';
import { preferenceMethods } from '../lists.ts';
import type { TaskType } from '../outlines/outline.ts';
import { classification } from './classification/objective.ts';
import { contrastive } from './contrastive/objective.ts';
import { cosine } from './cosine/objective.ts';
import { dpo } from './dpo/objective.ts';
import { kto } from './kto/objective.ts';
import { labelSets } from './label-sets/objective.ts';
import { nextToken } from './next-token/objective.ts';
import { type Objective, supervised, type TrainingMethod } from './objective.ts';
import { orpo } from './orpo/objective.ts';
import { simpo } from './simpo/objective.ts';

export const objectives = {
  [nextToken.name]: nextToken,
  [classification.name]: classification,
  [labelSets.name]: labelSets,
  [contrastive.name]: contrastive,
  [cosine.name]: cosine,
  [dpo.name]: dpo,
  [orpo.name]: orpo,
  [simpo.name]: simpo,
  [kto.name]: kto,
};

export type ObjectiveName = keyof typeof objectives;
export type ListedObjective = Objective & { name: ObjectiveName };

export const listedObjectives: readonly ListedObjective[] = Object.values(objectives);

type PreferenceRow = Extract<(typeof objectives)[ObjectiveName], { preference: unknown }>;
export type PreferenceMethod = PreferenceRow['method'];
export type PreferenceTraining = {
  [Option in OptionOf<PreferenceRow>]?: ValueOf<PreferenceRow, Option>;
};
type OptionOf<Row extends PreferenceRow> = Row extends PreferenceRow
  ? keyof Row['preference']['properties']
  : never;
type ValueOf<Row extends PreferenceRow, Option> = Row extends {
  preference: { properties: Record<Option & string, infer Schema extends TSchema> };
}
  ? Static<Schema>
  : never;

const preferenceObjectives = listedObjectives.flatMap(({ method, preference }) =>
  preference ? { method, preference } : [],
);

/** `training.preference`: options of all methods that learn from preferences. A description states the methods that have the option. */
export const preferenceSchema = Type.Object(optionsOfAllMethods(), {
  additionalProperties: false,
  description: `Options of training on preferences: method ${preferenceMethods.join(', ')}.`,
});

function optionsOfAllMethods(): TProperties {
  const all: Record<string, TSchema & { description?: string }> = {};
  for (const { method, preference } of preferenceObjectives)
    for (const [name, schema] of Object.entries<TSchema & { description?: string }>(preference.properties)) {
      const before = all[name] ? `${all[name].description} ` : '';
      all[name] = Type.Optional({ ...schema, description: `${before}${method}: ${schema.description}` });
    }
  return all;
}

export const objectiveOptions = {
  ...classification.options,
  preference: Type.Optional(Type.Unsafe<PreferenceTraining>(preferenceSchema)),
};

/** Every training method, with the schema of its `training.preference`; null: it does not learn from preferences. */
export const describedMethods: readonly (TrainingMethod & { preference: TProperties | null })[] = [
  { ...supervised, preference: null },
  ...listedObjectives.flatMap(({ method, methodText, preference }) =>
    methodText ? { type: method, ...methodText, preference: preference?.properties ?? null } : [],
  ),
];

export const trainingMethods: readonly string[] = describedMethods.map(({ type }) => type);

const methodsOf = (format: string): string[] =>
  listedObjectives.filter(({ formats }) => formats.includes(format)).map(({ method }) => method);

/** The objective of a method on lines of a format; without a method the format's default. Throws `unsupported_method`. */
export function objectiveOf(format: string, method: string | null = null): ListedObjective {
  const of = listedObjectives.filter(({ formats }) => formats.includes(format));
  const found = method === null ? of[0] : of.find((each) => each.method === method);
  if (found) return found;
  const own = listedObjectives.flatMap((each) => (each.method === method ? each.formats : []));
  throw new GraftError(
    'unsupported_method',
    `method.type: "${method}" does not train on lines of the format ${format}; use ${methodsOf(format).join(' or ')}, or a file with ${own.length === 1 ? `lines of the format ${own[0]}` : 'other lines'}`,
    { param: 'method.type' },
  );
}

/** Returns true if lines of a format compare two completions of a prompt. */
export function comparesCompletions(format: string): boolean {
  const { preference, isUnpaired = false } = objectiveOf(format) as Objective;
  return preference !== undefined && !isUnpaired;
}

/** Checks that a method trains this task, whatever the lines. Throws `unsupported_method`. */
export function checkMethodTask(method: string, task: TaskType): void {
  const tasks = [
    ...new Set(listedObjectives.flatMap((each) => (each.method === method ? [...each.tasks] : []))),
  ];
  if (tasks.includes(task)) return;
  throw new GraftError(
    'unsupported_method',
    `method.type: "${method}" trains with task_type ${tasks.join(' or ')}, and peft.task_type is ${task}; use the method ${methodsOfTask(task).join(' or ')}`,
    { param: 'method.type' },
  );
}

const methodsOfTask = (task: TaskType): string[] => [
  ...new Set(listedObjectives.flatMap((each) => (each.tasks.includes(task) ? [each.method] : []))),
];

/** The smallest batch that an objective can learn from. */
export const leastBatch = ({ isUnpaired }: Pick<Objective, 'isUnpaired'>): number => (isUnpaired ? 2 : 1);

/**
 * Like `objectiveOf`, but throws nothing: of a method that does not train on the format, which may be that of other columns, it returns the
 * task's objective; and if the format is unknown or does not belong to the task, the first objective of the task.
 */
export function objectiveFor(
  task: TaskType,
  format?: string | null,
  method?: string | null,
): ListedObjective {
  const taskObjectives = listedObjectives.filter(({ tasks }) => tasks.includes(task));
  const formatObjectives = taskObjectives.filter(({ formats }) => formats.includes(format ?? ''));
  const of = formatObjectives.length > 0 ? formatObjectives : taskObjectives;
  const isMethods = (each: ListedObjective) => each.method === method;
  return of.find(isMethods) ?? taskObjectives.find(isMethods) ?? of[0]!;
}

/** The method unless it is the format's default. So values derived from a default method equal those from before methods existed. */
export const namedMethod = (format: string | null, method: string): string | undefined =>
  method === (format === null ? trainingMethods[0] : methodsOf(format)[0]) ? undefined : method;
