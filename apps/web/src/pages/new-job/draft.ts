import type { JobCreateParams, Wire } from '@graft/client';
import { isPresent } from '../../text/numbers.ts';
import { listProperties, type NamedSchema } from './schema.ts';

/** An incomplete job request. */
export type Draft = Record<string, unknown>;
/** The method of jobs that do not learn from preferences. */
export const SUPERVISED = 'supervised';
/** The share of examples that the form offers to hold out for validation. */
export const HELD_OUT = 0.1;

/** Error messages by the path of the field. */
export type Faults = ReadonlyMap<string, string>;

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The value at a path such as `peft.r`; undefined if absent. */
export const valueAt = (draft: object, path: string): unknown =>
  path.split('.').reduce((whole: unknown, name) => (isRecord(whole) ? whole[name] : undefined), draft);

/** The object at a path such as `training.preference`; empty if absent. */
export function partAt(draft: object, path: string): Draft {
  const part = valueAt(draft, path);
  return isRecord(part) ? part : {};
}

/** The draft with a value at a path such as `peft.r`. Undefined removes the value, and its parents if they become empty. */
export function withValue(draft: Draft, path: string, value: unknown): Draft {
  const [name, ...rest] = path.split('.') as [string, ...string[]];
  const { [name]: previous, ...others } = draft;
  const next =
    rest.length === 0 ? value : withValue(isRecord(previous) ? previous : {}, rest.join('.'), value);
  const isEmpty = next === undefined || (rest.length > 0 && Object.keys(next as object).length === 0);
  return isEmpty ? others : { ...draft, [name]: next };
}

/** A draft from an existing job's request, without null, empty and automatic values. */
export function draftFromRequest(request: JobCreateParams): Draft {
  const { method, ...rest }: Draft = { ...request };
  const draft = Object.fromEntries(Object.entries(rest).filter(([, value]) => isPresent(value)));
  const type = isRecord(method) ? String(method.type) : SUPERVISED;
  const hyperparameters = Object.entries(partAt({ method }, `method.${type}.hyperparameters`)).filter(
    ([, value]) => isPresent(value) && value !== 'auto',
  );
  const own = hyperparameters.length > 0 && {
    [type]: { hyperparameters: Object.fromEntries(hyperparameters) },
  };
  return type === SUPERVISED && !own ? draft : { ...draft, method: { type, ...own } };
}

/** The error of a field, or of a value inside it. */
export function faultAt(faults: Faults, path: string): string | null {
  for (const [param, message] of faults) {
    if (param === path || param.startsWith(`${path}[`) || param.startsWith(`${path}.`)) return message;
  }
  return null;
}

/** The first error of each field. Errors without a field have the key ''. */
export function groupFaults(faults: readonly { param?: string | null; message: string }[]): Faults {
  const all = new Map<string, string>();
  for (const { param, message } of faults) {
    const path = param ?? '';
    if (!all.has(path)) all.set(path, message);
  }
  return all;
}

/** A file of the draft. `training_files` has weight or epochs, `validation_files` a name. */
export type FileRow = { file: string; weight?: number; epochs?: number; name?: string };
export type FileKind = 'training' | 'validation';

/** The files of a kind, from the list or the single file. */
export function fileRows(draft: Draft, kind: FileKind): FileRow[] {
  const list = draft[`${kind}_files`];
  if (Array.isArray(list))
    return list.map((row) => (isRecord(row) ? { ...row, file: String(row.file ?? '') } : { file: '' }));
  const only = draft[`${kind}_file`];
  return typeof only === 'string' ? [{ file: only }] : [];
}

/** The draft with these files of a kind: a single field for one file without other values, else a list. */
export function withFileRows(draft: Draft, kind: FileKind, rows: readonly FileRow[]): Draft {
  const { [`${kind}_file`]: _, [`${kind}_files`]: __, ...rest } = draft;
  const [first] = rows;
  if (rows.length > 1 || (first && Object.keys(first).length > 1))
    return { ...rest, [`${kind}_files`]: rows };
  return first?.file ? { ...rest, [`${kind}_file`]: first.file } : rest;
}

/** The draft with an uploaded file as a training file: in place of one that is not chosen yet, or of the only one. */
export function withUpload(draft: Draft, id: string): Draft {
  const rows = fileRows(draft, 'training');
  if (rows.length <= 1) return withFileRows(draft, 'training', [{ ...rows[0], file: id }]);
  const empty = rows.findIndex(({ file }) => file === '');
  return withFileRows(
    draft,
    'training',
    empty === -1 ? [...rows, { file: id }] : rows.with(empty, { ...rows[empty], file: id }),
  );
}

// The training method of a draft: `method.type`, and the options that only this method has.

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
export const preferenceOptions = (methods: readonly TrainingMethod[], type: string): NamedSchema[] =>
  listProperties(methods.find((method) => method.type === type)?.preference ?? {}).map(([name, schema]) => [
    name,
    { ...schema, description: sentence(schema.description ?? '') },
  ]);

const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
