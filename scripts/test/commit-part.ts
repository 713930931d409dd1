import { spawnSync } from 'node:child_process';

/** Splits of a run by its commit; each uses its own digit of the commit's hash, so that all combinations occur. */
const digits = { files: 0, matrix: 1, faults: 2 } as const;

/** Which part of `count` the commit in `root` runs, 0 to `count - 1`. The same commit always runs the same part; without Git it is 0. */
export function commitPart(root: string, of: keyof typeof digits, count: 2 | 8): number {
  const { stdout } = spawnSync('git', ['rev-parse', 'HEAD'], { cwd: root, encoding: 'utf8' });
  const digit = Number.parseInt(stdout?.[digits[of]] ?? '0', 16);
  return Number.isNaN(digit) ? 0 : digit % count;
}

/** Files of every run: the repository's rules, which read all sources, and the golden matrix, which has its own parts. */
const isInEveryRun = /^test\/(repository|golden\/matrix)\//;

/** Number of parts of the test files, one of which a run of `.ci/run` takes. */
export const filePartCount = 8;

/** The part of each test file, 0 to `filePartCount - 1`: the longest files first, each in the part that is shortest so far. */
export function partsOf(paths: readonly string[], secondsOf: (path: string) => number): Map<string, number> {
  const sums = Array<number>(filePartCount).fill(0);
  const longestFirst = paths.toSorted().sort((a, b) => secondsOf(b) - secondsOf(a));
  return new Map(
    longestFirst.map((path) => {
      const part = sums.indexOf(Math.min(...sums));
      sums[part]! += secondsOf(path);
      return [path, part];
    }),
  );
}

/** The files of a run of one part: that part, and those of every run. */
export function filesOfPart(
  paths: readonly string[],
  part: number,
  secondsOf: (path: string) => number,
): Set<string> {
  const inEveryRun = paths.filter((path) => isInEveryRun.test(path));
  const parts = partsOf(
    paths.filter((path) => !isInEveryRun.test(path)),
    secondsOf,
  );
  return new Set([...inEveryRun, ...[...parts.keys()].filter((path) => parts.get(path) === part)]);
}
