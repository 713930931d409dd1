import type { Kind } from './kinds.ts';

/** What reads a setting. `migrate` is the step of docker compose and Kubernetes that runs migrations. */
export type Reader = 'api' | 'worker' | 'npm start' | 'setup' | 'migrate' | 'compose' | 'graft' | 'tests';

/** A variable of the environment. An empty one counts as unset. */
export interface Setting<T = unknown> {
  kind: Kind<T>;
  /** The text that an unset variable is parsed as. */
  default?: string;
  /** Without a default: what an unset variable means. */
  unset?: string;
  /** A value to show in `.env.example` in place of the default. */
  example?: string;
  readBy: readonly Reader[];
  /** API, workers and migrations also take it from a file that NAME_FILE names; no log or error shows its value. */
  secret?: true;
  /** In sentences for operators, in Markdown whose links start at docs/. */
  description: string;
}

/** Settings that belong together, in the order of the documentation. */
export interface Section {
  title: string;
  /** Precedes the table. */
  intro?: string;
  settings: Record<string, Setting>;
}
