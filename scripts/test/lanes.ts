import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { cacheFolder } from '../bootstrap/cache-folder.mjs';

/** Seconds that test files took in earlier runs of this user, by path from the root. */
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
 * The order in which test files run, in two lanes, each longest first: what computes, and what starts services and waits for
 * them: beside one of either kind, the other keeps the cores busy.
 */
export function lanesOf(root: string, files: readonly string[], earlier: Record<string, number>): string[][] {
  const pathOf = (file: string) => relative(root, file);
  // A file that is new here may be one of the longest; of test/ most are.
  const secondsOf = (file: string) => earlier[pathOf(file)] ?? (pathOf(file).startsWith('test/') ? 60 : 5);
  const longestFirst = files.toSorted((a, b) => secondsOf(b) - secondsOf(a));
  const computes = (file: string) => /^(packages\/(peft-core|tf-graph)|test\/golden)\//.test(pathOf(file));
  return [longestFirst.filter(computes), longestFirst.filter((file) => !computes(file))];
}
