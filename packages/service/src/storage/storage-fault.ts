import { GraftError } from '@graft/peft-core/config';

/** Node's codes for a full disk, and for a reached quota or file size limit. */
const full = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
/** Codes for a network file system whose server does not respond, and for a disk that is read-only. */
const away = new Set(['EIO', 'ESTALE', 'ETIMEDOUT', 'ENOTCONN', 'EHOSTDOWN', 'EROFS']);

/** Converts an error to GraftError `storage_full` or `storage_away` if it means that; otherwise returns it. Messages contain no path. */
export function toStorageFault(error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (error instanceof GraftError || typeof code !== 'string') return error;
  if (full.has(code)) return storageFull(error);
  return away.has(code) ? storageUnavailable(error) : error;
}

export function storageFull(cause: unknown): GraftError {
  const message = 'The storage of this server is full; nothing was stored. Its operator must free space.';
  return new GraftError('storage_full', message, { fault: 'environment', cause });
}

export function storageUnavailable(cause: unknown): GraftError {
  const message = 'The storage of this server cannot be reached for the moment; try again.';
  return new GraftError('storage_away', message, { fault: 'environment', cause });
}

/** Returns whether the store is unavailable or full: no caller is at fault, and a later retry may succeed. */
export function isStorageUnavailable(error: unknown): boolean {
  return error instanceof GraftError && (error.code === 'storage_away' || error.code === 'storage_full');
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

/** Throws `missing` if the error means that the file does not exist; otherwise rethrows it. */
export function throwIfMissing(error: NodeJS.ErrnoException, missing: (cause: unknown) => GraftError): never {
  throw error.code === 'ENOENT' || error.code === 'ENOTDIR' ? missing(error) : error;
}

/** Runs `work`, and converts storage errors to GraftErrors. */
export async function onStorage<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toStorageFault(error);
  }
}
