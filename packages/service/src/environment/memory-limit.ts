import { readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';

/**
 * The memory limit of this process's control groups in bytes: the smallest of its group and all parent groups, for cgroup v1 and v2.
 * Infinity without a limit. `root` is the folder that contains `proc` and `sys`.
 */
export function memoryLimit(root = '/'): number {
  const groups = textOf(join(root, 'proc/self/cgroup')).matchAll(/^\d+:([^:\n]*):(\/.*)$/gm);
  const limits = [...groups].flatMap(([, controllers, path]) => {
    const file = limitFileOf(controllers!.split(','));
    if (!file) return [];
    const folders = withFoldersAround(posix.normalize(path!));
    // "max", and groups outside this namespace, give NaN.
    return folders.map((folder) => Number.parseInt(textOf(join(root, file.below, folder, file.name)), 10));
  });
  return Math.min(...limits.filter((limit) => limit > 0));
}

/** cgroup v2 has one hierarchy for all controllers and lists no names. */
function limitFileOf(controllers: string[]): { below: string; name: string } | null {
  if (controllers.includes('')) return { below: 'sys/fs/cgroup', name: 'memory.max' };
  if (controllers.includes('memory')) return { below: 'sys/fs/cgroup/memory', name: 'memory.limit_in_bytes' };
  return null;
}

/** /a/b gives /a/b, /a and /. */
function withFoldersAround(path: string): string[] {
  return path === '/' ? [path] : [path, ...withFoldersAround(dirname(path))];
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
