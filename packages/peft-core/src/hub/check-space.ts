import { statfs } from 'node:fs/promises';
import path from 'node:path';
import { GraftError } from '../errors.ts';
import { fileSize } from './file-size.ts';
import type { ListedFile } from './hub-files.ts';
import { megabytes } from './progress.ts';

/**
 * Throws GraftError `disk_full` if the disk of `folder` lacks space for the missing bytes of `files`, less existing `.part` files, plus
 * `minFree` bytes.
 */
export async function checkSpace(
  folder: string,
  model: string,
  files: readonly ListedFile[],
  minFree = 0,
): Promise<void> {
  let missing = 0;
  for (const file of files) {
    const target = path.join(folder, file.path);
    const there = (await fileSize(target)) ?? (await fileSize(`${target}.part`)) ?? 0;
    missing += Math.max(0, file.size - there);
  }
  const { bavail, bsize } = await statfs(folder);
  const free = Math.max(0, bavail * bsize - minFree);
  if (missing <= free) return;
  const kept = minFree > 0 ? `, ${megabytes(minFree)} that are kept free not counted` : '';
  throw new GraftError(
    'disk_full',
    `${model} takes ${megabytes(missing)}, but the disk of the cache folder has ${megabytes(free)} left${kept}`,
    { fault: 'system', param: 'model' },
  );
}
