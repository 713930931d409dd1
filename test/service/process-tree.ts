import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** Process ids of all descendants of a process. */
export function descendants(pid: number): number[] {
  const table = existsSync('/proc/self/stat') ? tableOfProc() : tableOfPs();
  const found: number[] = [];
  const visit = (parent: number) => {
    for (const [child, itsParent] of table) {
      if (itsParent !== parent) continue;
      found.push(child);
      visit(child);
    }
  };
  visit(pid);
  return found;
}

/** [process, parent] of all processes, from /proc, because small Linux images have no `ps`. */
function tableOfProc(): [number, number][] {
  return readdirSync('/proc').flatMap((name): [number, number][] => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      // The command's name, in parentheses, may contain spaces; state and parent follow it.
      const parent = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
      return [[Number(name), Number(parent)]];
    } catch {
      return []; // the process has ended
    }
  });
}

function tableOfPs(): [number, number][] {
  return execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number) as [number, number]);
}
