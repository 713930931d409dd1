import { spawnSync } from 'node:child_process';

/** What a run splits by its commit; each split uses its own digit of the commit's hash, so that all combinations occur. */
const digits = { files: 0, matrix: 1, faults: 2 } as const;

/** Which part of `count` the commit in `root` runs, 0 to `count - 1`. The same commit always runs the same part; without Git it is 0. */
export function commitPart(root: string, of: keyof typeof digits, count: 2 | 4): number {
  const { stdout } = spawnSync('git', ['rev-parse', 'HEAD'], { cwd: root, encoding: 'utf8' });
  const digit = Number.parseInt(stdout?.[digits[of]] ?? '0', 16);
  return Number.isNaN(digit) ? 0 : digit % count;
}

/** Test files that start services, browsers or many trainings. The others are short, or the golden matrix, which has its own parts. */
const isLong =
  /^(apps\/|test\/(browser|hostile|openai|operations|scim|service)\/|packages\/peft-core\/src\/tuners\/conformance)/;

/** The half of each test file: in each package and each folder of test/ every second file, by name. */
export function halvesOf(paths: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  return new Map(
    paths.toSorted().map((path) => {
      const folder = path.split('/', 2).join('/');
      const count = counts.get(folder) ?? 0;
      counts.set(folder, count + 1);
      return [path, count % 2];
    }),
  );
}

/** The files of a run of one half: all short files, and the long ones of that half. */
export function filesOfHalf(paths: readonly string[], half: number): Set<string> {
  const halves = halvesOf(paths);
  return new Set(paths.filter((path) => !isLong.test(path) || halves.get(path) === half));
}
