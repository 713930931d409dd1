import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { readJsonLines } from './rows/json-lines.ts';

/** One training: a method on a task, with values that may differ from the automatic ones. */
export interface Trial {
  task: string;
  method: string;
  /** Options of the method beside those of its usual trial. */
  options: Record<string, unknown>;
  learning_rate: number;
  n_epochs: number;
  batch_size: number;
}

export interface Result extends Trial {
  /** Of the task's rows: a result of others does not count. */
  data: string;
  steps: number;
  /** On the validation rows after the last step: the mean of the seeds; null: one was not a number. */
  loss: number | null;
  /** Of each seed. */
  losses: (number | null)[];
  seconds: number;
}

const file = 'scripts/sweep/results.jsonl';

export const readResults = () => readJsonLines<Result>(file);

/** Adds a result, or puts it in the place of one of the same trial. */
export function keepResult(result: Result): void {
  const results = readResults();
  const known = results.findIndex((other) => isOf(result, other));
  const kept = known === -1 ? [...results, result] : results.with(known, result);
  const path = join(import.meta.dirname, '../..', file);
  writeFileSync(`${path}.unfinished`, kept.map((each) => `${JSON.stringify(each)}\n`).join(''));
  renameSync(`${path}.unfinished`, path);
}

const keys = ['task', 'method', 'options', 'learning_rate', 'n_epochs', 'batch_size'] as const;

const isOf = (trial: Trial, result: Result) =>
  keys.every((key) => isDeepStrictEqual(result[key], trial[key]));

export function resultOf(trial: Trial, results: readonly Result[]): Result | undefined {
  return results.find((result) => isOf(trial, result));
}

/** A loss that is not a number is the worst. */
export const lossOf = ({ loss }: Result): number => loss ?? Number.POSITIVE_INFINITY;
