import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { dirname, join, posix } from 'node:path';
import type { CardShares } from '../cards/share-card.ts';
import type { Device } from '../devices.ts';

const GiB = 2 ** 30;

/**
 * Bytes that any trainer of this worker may use. With GPUs: the memory of the smallest one without the CUDA context and a generator
 * on the same card. On a CPU, which has one trainer: the memory of the machine or container without a reserve. Undefined where
 * the size is unknown, as for a GPU that does not report it, or where there is no trainer.
 */
export function trainerMemory(
  trainers: readonly Device[],
  shares: Pick<CardShares, 'trainer'>,
): number | undefined {
  if (trainers.length === 0) return undefined;
  const sizes = trainers.map((device) =>
    device.kind === 'gpu'
      ? (shares.trainer(device) ?? 0)
      : withoutReserve(Math.min(totalmem(), memoryLimit())),
  );
  return Math.min(...sizes) || undefined;
}

/**
 * Subtracts the reserve for other processes: the worker itself, the system, and on a single machine the API and Postgres, together
 * about 1 GiB. A small container has few of them, so the reserve is at most a tenth. A generator is not counted: it holds a base
 * model only while completions are requested.
 */
export function withoutReserve(bytes: number): number {
  return Math.round(bytes - Math.min(GiB, bytes / 10));
}

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
