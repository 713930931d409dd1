import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { undoAtExit } from './started.ts';

/** Puts a file system of this size, in memory, at `folder`. The returned function takes it away. */
export function mountTmpfs(folder: string, mib: number): () => void {
  mkdirSync(folder, { recursive: true });
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${mib}m`, 'graft-chaos', folder]);
  if (status !== 0) throw new Error(`no file system can be mounted: ${stderr}`);
  // Lazily: what still writes there ends with this process.
  return undoAtExit(() => spawnSync('umount', ['--lazy', folder]));
}
