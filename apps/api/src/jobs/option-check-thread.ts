/** Thread that matches a job's regular expressions with the modules of its base model. */
import { parentPort } from 'node:worker_threads';
import { checkAgainstModel } from '@graft/peft-core/check';
import { GraftError, type PeftConfig } from '@graft/peft-core/config';
import { answerCalls } from '@graft/peft-core/threads';

export interface OptionCheck {
  peft: PeftConfig;
  /** The base model's config.json. */
  modelConfig: Record<string, unknown>;
}

/** The parts of a GraftError, since class instances do not survive a transfer between threads. */
export type OptionFault = Pick<GraftError, 'code' | 'message' | 'param' | 'fault'>;

answerCalls<OptionCheck | null, OptionFault | null>(parentPort!, (check) => {
  // The first call only waits until this module is loaded.
  if (!check) return null;
  try {
    checkAgainstModel(check.peft, check.modelConfig);
    return null;
  } catch (error) {
    if (!(error instanceof GraftError)) throw error;
    const { code, message, param, fault } = error;
    return { code, message, param, fault };
  }
});
