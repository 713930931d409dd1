import { appendFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { readJsonLines } from '../rows/json-lines.ts';

/** What training starts from: a new adapter on the base model, or a version that has learned the chosen answers as a job would. */
export type Start = 'base' | 'version';

/** One training on a task's pairs. */
export interface PreferenceTrial {
  task: string;
  /** `method.type` of a job. */
  method: string;
  start: Start;
  /** Of the rate of supervised training: of a new adapter, or of one that is continued. */
  share: number;
  /** Options of `training.preference`, beside the defaults. */
  preference: Record<string, unknown>;
  /** Null: automatic. */
  n_epochs: number | null;
  seed: number;
}

/** Of the held-out pairs, in float32. */
export interface Measures {
  /** Share with a larger log-ratio to the start for the chosen answer; null before training, when all are 0. */
  accuracy: number | null;
  /** Share whose chosen answer is more probable. */
  preferred: number;
  /** Mean of the log-ratio of chosen answers less that of rejected ones; null before training. */
  margin: number | null;
  /** Of chosen answers: mean log-probability per token, over all tokens. */
  logp: number;
  /** Greedy answers that are the chosen one; null where none are requested. */
  right: number | null;
  pairs: number;
}

/** A line of preference-results.jsonl. */
export interface PreferenceResult extends PreferenceTrial, Measures {
  /** Of the task's pairs. */
  data: string;
  learning_rate: number;
  steps: number;
  seconds: number;
}

/** The start itself, before training. */
export interface StartResult extends Measures {
  task: string;
  start: Start;
  data: string;
}

const file = 'scripts/sweep/preference-results.jsonl';
const path = join(import.meta.dirname, '../../..', file);

const isStart = (line: PreferenceResult | StartResult): line is StartResult => !('method' in line);

export function readPreferenceResults(): { starts: StartResult[]; results: PreferenceResult[] } {
  const lines = existsSync(path) ? readJsonLines<PreferenceResult | StartResult>(file) : [];
  return {
    starts: lines.filter(isStart),
    results: lines.filter((line): line is PreferenceResult => !isStart(line)),
  };
}

/** Adds a line at once, so that a run that is stopped costs no other. */
export const keepLine = (line: PreferenceResult | StartResult): void =>
  appendFileSync(path, `${JSON.stringify(line)}\n`);

const keys = ['task', 'method', 'start', 'share', 'preference', 'n_epochs', 'seed'] as const;

export const isSameTrial = (a: PreferenceTrial, b: PreferenceTrial): boolean =>
  keys.every((key) => isDeepStrictEqual(a[key], b[key]));
