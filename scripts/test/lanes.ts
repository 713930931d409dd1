import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { cacheFolder } from '../bootstrap/cache-folder.mjs';

/** Seconds that each test file took in earlier runs of this user, by path from the root. */
const durationsFile = () => join(cacheFolder(), 'test-seconds.json');
/** The same of the longest files on two cores, for machines on which no test ran yet. `npm test -- --record-seconds` writes it. */
const usualFile = 'scripts/test/usual-seconds.json';
const shortestRecorded = 10;

type Seconds = Record<string, number>;

export function earlierSeconds(): Seconds {
  try {
    return JSON.parse(readFileSync(durationsFile(), 'utf8'));
  } catch {
    return {}; // none yet
  }
}

/** The seconds that a test file usually takes. The same on every machine. */
export function usualSeconds(root: string): (path: string) => number {
  const recorded = recordedSeconds(root);
  return (path) => recorded[path] ?? (path.startsWith('test/') ? shortestRecorded : 2);
}

export function keepSeconds(root: string, seconds: ReadonlyMap<string, number>): void {
  const file = durationsFile();
  const unfinished = `${file}.${process.pid}`;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(unfinished, JSON.stringify({ ...earlierSeconds(), ...byPath(root, seconds) }));
  renameSync(unfinished, file);
}

export function recordUsualSeconds(root: string, seconds: ReadonlyMap<string, number>): void {
  const longest = Object.entries({ ...recordedSeconds(root), ...byPath(root, seconds) })
    .filter(([, each]) => each >= shortestRecorded)
    .map(([path, each]): [string, number] => [path, Math.round(each)])
    .sort(([a], [b]) => (a < b ? -1 : 1));
  writeFileSync(join(root, usualFile), `${JSON.stringify(Object.fromEntries(longest), null, 2)}\n`);
}

const recordedSeconds = (root: string): Seconds => JSON.parse(readFileSync(join(root, usualFile), 'utf8'));

function byPath(root: string, seconds: ReadonlyMap<string, number>): Seconds {
  const entries = [...seconds].map(([file, each]) => [relative(root, file), Math.round(each * 10) / 10]);
  return Object.fromEntries(entries);
}

/**
 * The order in which test files run, in three lanes, each longest first: one of files that compute, and two of files that start
 * services and mostly wait for them. Together they keep two cores busy.
 */
export function lanesOf(
  root: string,
  files: readonly string[],
  secondsOf: (path: string) => number,
): string[][] {
  const pathOf = (file: string) => relative(root, file);
  const longestFirst = files.toSorted((a, b) => secondsOf(pathOf(b)) - secondsOf(pathOf(a)));
  const computes = (file: string) =>
    /^(packages\/(peft-core|tf-graph)|test\/golden|scripts\/(check-gpu|gpu-gate))\//.test(pathOf(file));
  const waiting = longestFirst.filter((file) => !computes(file));
  return [
    longestFirst.filter(computes),
    waiting.filter((_, i) => i % 2 === 0),
    waiting.filter((_, i) => i % 2 === 1),
  ];
}
