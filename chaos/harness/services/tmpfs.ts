import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { undoAtExit } from './started.ts';

/** Mounts an in-memory file system of this size at `folder`. The returned function unmounts it. */
export function mountTmpfs(folder: string, mib: number): () => void {
  mkdirSync(folder, { recursive: true });
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${mib}m`, 'graft-chaos', folder]);
  if (status !== 0) throw new Error(`no file system can be mounted: ${stderr}`);
  // Lazily: processes that still write there end with this process.
  return undoAtExit(() => spawnSync('umount', ['--lazy', folder]));
}
