import { spawnSync } from 'node:child_process';

/** What a run splits by its commit; each split uses its own digit of the commit's hash, so that all combinations occur. */
const digits = { files: 0, matrix: 1, faults: 2 } as const;

/** Which part of `count` the commit in `root` runs, 0 to `count - 1`. The same commit always runs the same part; without Git it is 0. */
export function commitPart(root: string, of: keyof typeof digits, count: 2 | 8): number {
  const { stdout } = spawnSync('git', ['rev-parse', 'HEAD'], { cwd: root, encoding: 'utf8' });
  const digit = Number.parseInt(stdout?.[digits[of]] ?? '0', 16);
  return Number.isNaN(digit) ? 0 : digit % count;
}

/** Test files that start services or browsers or train much. The others are short, or the golden matrix, which has its own parts. */
const isLong =
  /^(apps\/|scripts\/(check-gpu|gpu-gate)\/|test\/(browser|hostile|openai|operations|scim|service)\/|test\/golden\/[^/]+$|packages\/peft-core\/src\/tuners\/conformance)/;

/**
 * The half of each test file. In each package and each folder of test/ both halves have files, and take about equally long: the
 * longest files first, each in the half that is shorter so far.
 */
export function halvesOf(paths: readonly string[], secondsOf: (path: string) => number): Map<string, number> {
  const folders = new Map<string, string[]>();
  for (const path of paths.toSorted()) {
    const folder = `${path.split('/', 2).join('/')} ${isLong.test(path)}`;
    folders.set(folder, [...(folders.get(folder) ?? []), path]);
  }
  const halves = new Map<string, number>();
  const total = [0, 0];
  for (const inFolder of folders.values()) {
    const sums = [0, 0];
    for (const path of inFolder.sort((a, b) => secondsOf(b) - secondsOf(a))) {
      const difference = sums[0]! - sums[1]! || total[0]! - total[1]!;
      const half = difference > 0 ? 1 : 0;
      halves.set(path, half);
      for (const each of [sums, total]) each[half]! += secondsOf(path);
    }
  }
  return halves;
}

/** The files of a run of one half: all short files, and the long ones of that half. */
export function filesOfHalf(
  paths: readonly string[],
  half: number,
  secondsOf: (path: string) => number,
): Set<string> {
  const halves = halvesOf(paths, secondsOf);
  return new Set(paths.filter((path) => !isLong.test(path) || halves.get(path) === half));
}
