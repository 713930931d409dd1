import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { dirname, join, posix } from 'node:path';
import type { CardShares } from '../cards/share-card.ts';
import type { Device } from '../devices.ts';

const GiB = 2 ** 30;

/**
 * Bytes that the trainer of any of these devices may hold at most: of the smallest GPU what is left of its memory by CUDA's context
 * and a generator beside it; or on a CPU, which has one trainer, what this process's machine or container has, less a reserve.
 * Undefined where it is not known, as of a GPU that does not tell its memory, or nothing trains.
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
 * For what runs beside a trainer: this worker's own process, the system, and on a machine that has all of Graft also the API and
 * Postgres, about 1 GiB together. A container with little memory has little of that in it. A generator is not counted: it holds
 * a base model only while completions are asked for.
 */
export function withoutReserve(bytes: number): number {
  return Math.round(bytes - Math.min(GiB, bytes / 10));
}

/**
 * Bytes that Linux lets this process's control groups use, the smallest limit of the group and those around it, by the
 * controllers of version 2 and 1; infinite without one. `root` is where `proc` and `sys` are.
 */
export function memoryLimit(root = '/'): number {
  const groups = textOf(join(root, 'proc/self/cgroup')).matchAll(/^\d+:([^:\n]*):(\/.*)$/gm);
  const limits = [...groups].flatMap(([, controllers, path]) => {
    const file = limitFileOf(controllers!.split(','));
    if (!file) return [];
    const folders = withFoldersAround(posix.normalize(path!));
    // "max", and a group that is another name space's, have no number.
    return folders.map((folder) => Number.parseInt(textOf(join(root, file.below, folder, file.name)), 10));
  });
  return Math.min(...limits.filter((limit) => limit > 0));
}

/** Version 2 has one tree for all controllers, which it does not name. */
function limitFileOf(controllers: string[]): { below: string; name: string } | null {
  if (controllers.includes('')) return { below: 'sys/fs/cgroup', name: 'memory.max' };
  if (controllers.includes('memory')) return { below: 'sys/fs/cgroup/memory', name: 'memory.limit_in_bytes' };
  return null;
}

/** /a/b, /a and / */
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
