import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { cacheFolder } from '../bootstrap/cache-folder.mjs';

/** Seconds that each test file took in earlier runs of this user, by path from the root. */
const durationsFile = () => join(cacheFolder(), 'test-seconds.json');

export function earlierSeconds(): Record<string, number> {
  try {
    return JSON.parse(readFileSync(durationsFile(), 'utf8'));
  } catch {
    return {}; // none yet
  }
}

export function keepSeconds(root: string, seconds: ReadonlyMap<string, number>): void {
  const now = [...seconds].map(([file, each]) => [relative(root, file), Math.round(each * 10) / 10]);
  const file = durationsFile();
  const unfinished = `${file}.${process.pid}`;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(unfinished, JSON.stringify({ ...earlierSeconds(), ...Object.fromEntries(now) }));
  renameSync(unfinished, file);
}

/**
 * The order in which test files run, in three lanes, each longest first: one of files that compute, and two of files that start
 * services and mostly wait for them. Together they keep two cores busy.
 */
export function lanesOf(root: string, files: readonly string[], earlier: Record<string, number>): string[][] {
  const pathOf = (file: string) => relative(root, file);
  const secondsOf = (file: string) => earlier[pathOf(file)] ?? usualSeconds(pathOf(file));
  const longestFirst = files.toSorted((a, b) => secondsOf(b) - secondsOf(a));
  const computes = (file: string) =>
    /^(packages\/(peft-core|tf-graph)|test\/golden|scripts\/(check-gpu|gpu-gate))\//.test(pathOf(file));
  const waiting = longestFirst.filter((file) => !computes(file));
  return [
    longestFirst.filter(computes),
    waiting.filter((_, i) => i % 2 === 0),
    waiting.filter((_, i) => i % 2 === 1),
  ];
}

/** Of a file that has not run on this machine: which ones may be the longest. */
function usualSeconds(path: string): number {
  if (path.startsWith('test/golden/matrix/')) return 120;
  return /^test\/|conformance|gpu-gate\/|check-gpu\//.test(path) ? 60 : 5;
}
