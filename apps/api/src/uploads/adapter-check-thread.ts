/** Thread that checks the files of an uploaded adapter against the base model. */
import { type CheckedAdapter, checkAdapterFiles } from '@graft/peft-core/files';
import { answerChecks } from '../threads/answer-checks.ts';

export interface AdapterCheck {
  /** Absolute path, chosen by this server. */
  folder: string;
  /** config.json of the base model, and the digest of its weights. */
  base: { config: Record<string, unknown>; digest: string };
}

answerChecks<AdapterCheck, CheckedAdapter>(({ folder, base }) => checkAdapterFiles(folder, base));
