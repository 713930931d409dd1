import { isDatabaseUnavailable } from '@graft/service/database';

export const uploadedFile = { purpose: 'fine-tune', status: 'processed' } as const;

/**
 * Writes the row of stored bytes, and removes the bytes if that fails. If the database is unavailable the row may exist, so the bytes stay;
 * without a row they are collected a day later.
 */
export async function writeRow<T>(write: () => Promise<T>, removeBytes: () => Promise<unknown>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (!isDatabaseUnavailable(error)) await removeBytes().catch(() => {});
    throw error;
  }
}
