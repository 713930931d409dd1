import { spawnSync } from 'node:child_process';

/** Which half of what is too long for one run a run tries: by the commit, so that one commit is always tried alike and the next may be tried otherwise. */
export function halfOfCommit(root: string): 0 | 1 {
  const { stdout } = spawnSync('git', ['rev-parse', 'HEAD'], { cwd: root, encoding: 'utf8' });
  // Without Git every run tries the same half.
  return Number.parseInt(stdout?.[0] ?? '0', 16) % 2 === 1 ? 1 : 0;
}
