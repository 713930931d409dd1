import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { DataSize } from '@graft/peft-core/config';
import { sha256 } from '../../packages/peft-core/src/sha256.ts';
import { dataSizeOf } from '../methods/data-size.ts';
import { readJsonLines } from './rows/json-lines.ts';

/** Rows of a task: those that are trained, and those that are measured. */
export interface Rows<Row = object> {
  training: Row[];
  validation: Row[];
}

/** Training data and held-out rows of a measurement. */
export interface Task {
  about: string;
  /** `rule`: the automatic values were chosen by it; `held out`: it only shows how good they are. */
  use: 'rule' | 'held out';
  data(): Rows | Promise<Rows>;
}

/** The first rows to measure on, the next to train on. */
export const split = <Row>(rows: Row[], validation: number, training = rows.length): Rows<Row> => ({
  validation: rows.slice(0, validation),
  training: rows.slice(validation, validation + training),
});

/** Identifies a task's rows: results of other rows compare with none of these. */
export const digestOf = (rows: object, measure = ''): string =>
  sha256(JSON.stringify(rows) + measure).slice(0, 12);

export const sizeOf = (rows: readonly object[]): DataSize =>
  dataSizeOf(rows.map((row) => JSON.stringify(row)));

/** Output of one sweep, shown in docs/auto.md. */
export interface Report {
  /** By the names of their sections. */
  tables: Record<string, string>;
  /** Measurements that are still missing. */
  notes?: string[];
  faults: string[];
}

/** A sweep: what it tries, where results are kept, how they are judged. run-trials.ts trains what is lacking. */
export interface Sweep {
  /** `model`: where it is not SmolLM2. */
  tasks: Record<string, Pick<Task, 'about'> & { model?: string; use?: Task['use'] }>;
  /** All that is tried, in order. */
  grid: readonly Tried[];
  /** Judges results of the chosen tasks and methods. */
  report(words: readonly string[]): Promise<Report> | Report;
  /** Trials of a task and method that were made, in words; without it a report is the list. */
  made?(task: string, method: string): string;
}

export interface Tried {
  task: string;
  method: string;
}

/** True where one of the words names its task, or task/method, or method; without words all are chosen. */
export const isChosen = ({ task, method }: Tried, words: readonly string[]): boolean =>
  words.length === 0 || words.some((word) => [task, method, `${task}/${method}`].includes(word));

/** Input of run-trials.ts. */
export interface RunPlan {
  what: 'usual' | 'long' | 'preferences' | 'ranks' | 'continued';
  /** Tasks, methods or task/method that narrow what is tried. */
  words: string[];
  /** In long runs: a folder, a GGUF file, an id of the catalogue, or org/name on the Hugging Face Hub. */
  model: string;
  seeds: number;
  steps: number;
}

/** A file with a line of JSON for each result. Results of the same trial are equal in all `keys`. */
export function resultsFile<Line extends object, Key extends keyof Line = keyof Line>(
  name: string,
  keys: readonly Key[],
) {
  const file = `scripts/sweep/${name}`;
  const path = join(import.meta.dirname, '../..', file);
  const isSame = (a: Partial<Pick<Line, Key>>, b: Partial<Pick<Line, Key>>): boolean =>
    keys.every((key) => isDeepStrictEqual(a[key], b[key]));
  const read = (): Line[] => (existsSync(path) ? readJsonLines<Line>(file) : []);
  /** Adds a result at once, so that a sweep that is stopped loses none, or puts it in the place of one of the same trial. */
  function keep(result: Line): void {
    const results = read();
    const known = results.findIndex((other) => isSame(result, other));
    const kept = known === -1 ? [...results, result] : results.with(known, result);
    writeFileSync(`${path}.unfinished`, kept.map((each) => `${JSON.stringify(each)}\n`).join(''));
    renameSync(`${path}.unfinished`, path);
  }
  return { read, keep, isSame };
}

/** The first of each group of like ones. */
export const firstOfEach = <T>(all: readonly T[], isLike: (a: T, b: T) => boolean): T[] =>
  all.filter((each, at) => all.findIndex((other) => isLike(other, each)) === at);
