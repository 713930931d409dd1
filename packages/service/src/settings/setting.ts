import type { Kind } from './kinds.ts';

/** Programs that read a setting. `migrate` is the step of Docker Compose and Kubernetes that runs migrations. */
export type Reader = 'api' | 'worker' | 'npm start' | 'setup' | 'migrate' | 'compose' | 'graft' | 'tests';

/** An environment variable. An empty one counts as unset. */
export interface Setting<T = unknown> {
  kind: Kind<T>;
  /** Text as which an unset variable is parsed. */
  default?: string;
  /** Meaning of an unset variable without a default. */
  unset?: string;
  /** Value in `.env.example` instead of the default. */
  example?: string;
  readBy: readonly Reader[];
  /** API, workers and migrations can also read it from the file named by NAME_FILE; logs and errors never show its value. */
  secret?: true;
  /** A library or other code reads it, so it is no property of the parsed environment. */
  elsewhere?: true;
  /** Sentences for operators, in Markdown whose links are relative to docs/. */
  description: string;
}

/** A section of the documentation, with its settings in order. */
export interface Section {
  title: string;
  /** Text before the table. */
  intro?: string;
  settings: Record<string, Setting>;
}

export function readBy<const Rows extends Record<string, Omit<Setting, 'readBy'>>>(
  readers: readonly Reader[],
  rows: Rows,
): { [Name in keyof Rows]: Rows[Name] & Pick<Setting, 'readBy'> } {
  const whole = Object.entries(rows).map(([name, row]) => [name, { ...row, readBy: readers }]);
  return Object.fromEntries(whole);
}
