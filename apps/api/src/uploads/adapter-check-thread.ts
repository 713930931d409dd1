/** Thread that checks the files of an uploaded adapter against the base model. */
import { parentPort } from 'node:worker_threads';
import { GraftError } from '@graft/peft-core/config';
import { type CheckedAdapter, checkAdapterFiles } from '@graft/peft-core/files';
import { answerCalls } from '@graft/peft-core/threads';

export interface AdapterCheck {
  /** Absolute path, chosen by this server. */
  folder: string;
  /** config.json of the base model, and the digest of its weights. */
  base: { config: Record<string, unknown>; digest: string };
}

/** The parts of a GraftError, since class instances do not survive a transfer between threads. */
export type AdapterFault = Pick<GraftError, 'code' | 'message' | 'param'>;

answerCalls<AdapterCheck | null, CheckedAdapter | AdapterFault | null>(parentPort!, (check) => {
  // The first call only waits until this module is loaded.
  if (!check) return null;
  try {
    return checkAdapterFiles(check.folder, check.base);
  } catch (error) {
    if (!(error instanceof GraftError)) throw error;
    const { code, message, param } = error;
    return { code, message, param };
  }
});
