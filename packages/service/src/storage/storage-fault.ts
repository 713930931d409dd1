import { setTimeout as sleep } from 'node:timers/promises';
import { GraftError } from '@graft/peft-core/config';

/** Node's codes of a disk without room, or of one that lets a process write no more. */
const full = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
/** A network file system whose server does not answer, or a disk that is read-only for now. */
const away = new Set(['EIO', 'ESTALE', 'ETIMEDOUT', 'ENOTCONN', 'EHOSTDOWN', 'EROFS']);

/** `storage_full`, `storage_away`, or the error as it is when neither is the reason. The messages hold no path. */
export function asStorageFault(error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (error instanceof GraftError || typeof code !== 'string') return error;
  if (full.has(code)) return storageFull(error);
  return away.has(code) ? storageAway(error) : error;
}

export function storageFull(cause: unknown): GraftError {
  const message = 'The storage of this server is full; nothing was stored. Its operator must make room.';
  return new GraftError('storage_full', message, { fault: 'environment', cause });
}

export function storageAway(cause: unknown): GraftError {
  const message = 'The storage of this server cannot be reached for the moment; try again.';
  return new GraftError('storage_away', message, { fault: 'environment', cause });
}

/** Whether the store cannot be reached or is full: nobody's fault, and worth trying again later. */
export function isStorageAway(error: unknown): boolean {
  return error instanceof GraftError && (error.code === 'storage_away' || error.code === 'storage_full');
}

/** Runs `work` again, each second, while the store is away or full. Throws when `signal` fires. */
export async function whenStorageIsBack<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isStorageAway(error)) throw error;
      await sleep(1000, undefined, { signal });
    }
  }
}

export function fileCorrupt(cause?: unknown): GraftError {
  const message = 'The stored bytes of this file are no longer those that were uploaded. Upload it again.';
  return new GraftError('file_corrupt', message, { fault: 'system', cause });
}

export function artifactCorrupt(cause?: unknown): GraftError {
  const message =
    'The stored files of this adapter are no longer those that were published; they are not served.';
  return new GraftError('artifact_corrupt', message, { fault: 'system', cause });
}

export function fileMissing(cause?: unknown): GraftError {
  return new GraftError('file_missing', 'The bytes of this file are gone.', { fault: 'system', cause });
}

export function artifactMissing(cause?: unknown): GraftError {
  const message = 'The files of this adapter version are gone.';
  return new GraftError('artifact_missing', message, { fault: 'system', cause });
}

/** Throws `missing` where `error` says that there is no such file; any other fault of the storage says nothing of the kind. */
export function throwIfMissing(error: NodeJS.ErrnoException, missing: (cause: unknown) => GraftError): never {
  throw error.code === 'ENOENT' || error.code === 'ENOTDIR' ? missing(error) : error;
}

/** Runs `work`; what the storage does wrong in it is thrown as a GraftError. */
export async function onStorage<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asStorageFault(error);
  }
}
