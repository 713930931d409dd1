import { spawnSync } from 'node:child_process';

/** What a run splits by its commit; each split uses its own digit of the commit's hash, so that all combinations occur. */
const digits = { files: 0, matrix: 1, faults: 2 } as const;

/** Which part of `count` the commit in `root` runs, 0 to `count - 1`. The same commit always runs the same part; without Git it is 0. */
export function commitPart(root: string, of: keyof typeof digits, count: 2 | 4 | 8): number {
  const { stdout } = spawnSync('git', ['rev-parse', 'HEAD'], { cwd: root, encoding: 'utf8' });
  const digit = Number.parseInt(stdout?.[digits[of]] ?? '0', 16);
  return Number.isNaN(digit) ? 0 : digit % count;
}

/** Test files that start services or browsers or train much. The others are short, or the golden matrix, which has its own parts. */
const isLong =
  /^(apps\/|scripts\/(check-gpu|gpu-gate)\/|test\/(browser|hostile|openai|operations|scim|service)\/|test\/golden\/[^/]+$|packages\/peft-core\/src\/tuners\/conformance)/;

/** Number of parts of the long test files, each of which a run of `.ci/run` takes. */
export const filePartCount = 4;

/**
 * The part of each test file, 0 to `filePartCount - 1`. In each package and each folder of test/ the parts take about equally long: the
 * longest files first, each in the part that is shortest so far.
 */
export function partsOf(paths: readonly string[], secondsOf: (path: string) => number): Map<string, number> {
  const folders = new Map<string, string[]>();
  for (const path of paths.toSorted()) {
    const folder = `${path.split('/', 2).join('/')} ${isLong.test(path)}`;
    folders.set(folder, [...(folders.get(folder) ?? []), path]);
  }
  const parts = new Map<string, number>();
  const total = Array<number>(filePartCount).fill(0);
  for (const inFolder of folders.values()) {
    const sums = Array<number>(filePartCount).fill(0);
    for (const path of inFolder.sort((a, b) => secondsOf(b) - secondsOf(a))) {
      const [part] = sums
        .map((_, each) => each)
        .sort((a, b) => sums[a]! - sums[b]! || total[a]! - total[b]!) as [number];
      parts.set(path, part);
      for (const each of [sums, total]) each[part]! += secondsOf(path);
    }
  }
  return parts;
}

/** The files of a run of one part: all short files, and the long ones of that part. */
export function filesOfPart(
  paths: readonly string[],
  part: number,
  secondsOf: (path: string) => number,
): Set<string> {
  const parts = partsOf(paths, secondsOf);
  return new Set(paths.filter((path) => !isLong.test(path) || parts.get(path) === part));
}
