import { spawnSync } from 'node:child_process';

/** Which half of what is too long for one run a run tries: by the commit, so that one commit is always tried alike and the next may be tried otherwise. */
export function halfOfCommit(root: string): 0 | 1 {
  const { stdout } = spawnSync('git', ['rev-parse', 'HEAD'], { cwd: root, encoding: 'utf8' });
  // Without Git every run tries the same half.
  return Number.parseInt(stdout?.[0] ?? '0', 16) % 2 === 1 ? 1 : 0;
}

/** Test files that start services, browsers or many trainings. The others are short, or choose a half of their own, as the golden matrix. */
const takesLong =
  /^(apps\/|test\/(browser|hostile|openai|operations|scim|service)\/|packages\/peft-core\/src\/tuners\/conformance)/;

/** In which half each test file is: in each part of the repository (`apps/api`, `test/browser`) they take turns. */
export function halvesOf(paths: readonly string[]): Map<string, 0 | 1> {
  const counts = new Map<string, number>();
  return new Map(
    paths.toSorted().map((path) => {
      const part = path.split('/', 2).join('/');
      const count = counts.get(part) ?? 0;
      counts.set(part, count + 1);
      return [path, count % 2 === 0 ? 0 : 1];
    }),
  );
}

/** What a run of a half has: all files that are short, and of the others those of the half. */
export function filesOfHalf(paths: readonly string[], half: 0 | 1): Set<string> {
  const halves = halvesOf(paths);
  return new Set(paths.filter((path) => !takesLong.test(path) || halves.get(path) === half));
}
