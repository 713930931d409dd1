import type { JobCreateParams } from '@graft/client';

/** The body of a request for a job while it is written: what the API takes, as far as it is there. */
export type Draft = Record<string, unknown>;
/** Words for each field at fault, by its path. */
export type Faults = ReadonlyMap<string, string>;

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A part of it that is an object; empty where it is not there. */
export const partOf = (draft: Draft, name: string): Record<string, unknown> => {
  const part = draft[name];
  return isRecord(part) ? part : {};
};

/** With a value at a path such as `peft.r`; undefined takes it out, and what held nothing else with it. */
export function withValue(draft: Draft, path: string, value: unknown): Draft {
  const [name, ...rest] = path.split('.') as [string, ...string[]];
  const { [name]: before, ...others } = draft;
  const after = rest.length === 0 ? value : withValue(isRecord(before) ? before : {}, rest.join('.'), value);
  const isEmpty = after === undefined || (rest.length > 0 && Object.keys(after as object).length === 0);
  return isEmpty ? others : { ...draft, [name]: after };
}

/** Of a job as it was asked for: what says nothing is left out. */
export function draftOf(request: JobCreateParams): Draft {
  const { method, ...rest } = request as Draft & { method?: { supervised?: { hyperparameters?: object } } };
  const hyperparameters = Object.entries(method?.supervised?.hyperparameters ?? {}).filter(
    ([, value]) => value !== 'auto',
  );
  return {
    ...Object.fromEntries(Object.entries(rest).filter(([, value]) => !isNothing(value))),
    ...(hyperparameters.length > 0 && {
      method: {
        type: 'supervised',
        supervised: { hyperparameters: Object.fromEntries(hyperparameters) },
      },
    }),
  };
}

const isNothing = (value: unknown): boolean =>
  value === null || value === undefined || (typeof value === 'object' && Object.keys(value).length === 0);

/** What is said of a field, or of something in it. */
export function faultAt(faults: Faults, path: string): string | null {
  for (const [param, message] of faults) {
    if (param === path || param.startsWith(`${path}[`) || param.startsWith(`${path}.`)) return message;
  }
  return null;
}

/** Each fault by its field; what has none is `''`. The path, which the place says already, is left out of the words. */
export function faultsOf(faults: readonly { param?: string | null; message: string }[]): Faults {
  const all = new Map<string, string>();
  for (const { param, message } of faults) {
    const path = param ?? '';
    if (!all.has(path)) all.set(path, message);
  }
  return all;
}
