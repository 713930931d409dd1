/** The training method of a draft: what `method.type` is, and the options that only this method has. */
import type { Wire } from '@graft/client';
import { type Draft, isRecord, partAt, SUPERVISED, withValue } from './draft.ts';
import { listProperties, type Schema } from './schema.ts';

type Objective = Wire.FineTuningObjective;
type TrainingMethod = Wire.FineTuningOptions['training_methods'][number];

/** The methods for files of a format; null: all methods. */
export const methodsFor = (objectives: readonly Objective[], format: string | null): string[] => [
  ...new Set(
    objectives
      .filter(({ formats }) => format === null || formats.includes(format))
      .map(({ method }) => method),
  ),
];

/** The method of the draft, or the one that is used without: the first for the format. */
export function methodOf(draft: Draft, objectives: readonly Objective[], format: string | null): string {
  const { type } = partAt(draft, 'method');
  return typeof type === 'string' ? type : (methodsFor(objectives, format)[0] ?? SUPERVISED);
}

/** The draft with a method. Hyperparameters of all methods are kept; options of preferences mean something else for another method. */
export function withMethod(draft: Draft, type: string): Draft {
  const { type: before } = partAt(draft, 'method');
  const old = partAt(draft, `method.${before}.hyperparameters`);
  const { beta: _, ...kept } = old;
  const own = Object.keys(kept).length > 0 ? { [type]: { hyperparameters: kept } } : {};
  return withValue({ ...draft, method: { type, ...own } }, 'training.preference', undefined);
}

/** The draft with a beta of its method, which it then names. */
export function withBeta(draft: Draft, method: string, beta: unknown): Draft {
  const named = isRecord(draft.method) ? draft : { ...draft, method: { type: method } };
  return withValue(named, `method.${method}.hyperparameters.beta`, beta);
}

/** The options of `training.preference` that a method has. */
export const preferenceOptions = (methods: readonly TrainingMethod[], type: string): [string, Schema][] =>
  listProperties(methods.find((method) => method.type === type)?.preference ?? {}).map(([name, schema]) => [
    name,
    { ...schema, description: sentence(schema.description ?? '') },
  ]);

const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
