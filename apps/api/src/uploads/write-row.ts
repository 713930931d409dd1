import { isDatabaseUnavailable } from '@graft/service/database';

export const uploadedFile = { purpose: 'fine-tune', status: 'processed' } as const;

/**
 * Writes the database row of a stored file, and removes the file if that fails. If the database is unavailable, the row may exist, so the
 * file stays; a file without a row is removed a day later.
 */
export async function writeRow<T>(write: () => Promise<T>, removeBytes: () => Promise<unknown>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (!isDatabaseUnavailable(error)) await removeBytes().catch(() => {});
    throw error;
  }
}
