import { checkAgainstModel, checkStoredWeights, stepsOfCheck } from '@graft/peft-core/check';
import { GraftError, type PeftConfig } from '@graft/peft-core/config';
import { ThreadTimeout } from '@graft/peft-core/threads';
import type { LocalBaseModel, ThreadShare } from '@graft/service';
import { createCheckThread } from '../threads/check-thread.ts';
import type { OptionCheck } from './option-check-thread.ts';

export interface OptionChecker {
  /**
   * Checks a PEFT config against its base model. Throws GraftErrors that name the option; ApiError `service_unavailable` if too many
   * checks wait.
   */
  check(teamId: string, peft: PeftConfig, model: Pick<LocalBaseModel, 'config' | 'tensors'>): Promise<void>;
  close(): Promise<void>;
}

/** Maximum matching steps on the event loop, a few milliseconds. Plain names, the usual case, need none. */
const stepsAtOnce = 20_000;

/** Runs small checks inline; slower regular expressions run in a thread, one at a time, with teams in turn. */
export function createOptionChecker(
  timeoutMs: number,
  { heapMb }: Pick<ThreadShare, 'heapMb'>,
): OptionChecker {
  const busy = 'Too many checks of regular expressions are waiting; try again.';
  const module = new URL('./option-check-thread.ts', import.meta.url);
  const thread = createCheckThread<OptionCheck, void>(module, { heapMb, timeoutMs, busy });

  return {
    async check(teamId, peft, { config, tensors }) {
      if (stepsOfCheck(peft, config) <= stepsAtOnce) {
        checkAgainstModel(peft, config, tensors);
        return;
      }
      await thread.run(teamId, { peft, modelConfig: config }).catch((error: unknown) => {
        if (!(error instanceof ThreadTimeout)) throw error;
        throw new GraftError(
          'invalid_peft_config',
          `matching the regular expressions of peft with the modules of this model took more than ${timeoutMs / 1000} s, the limit; shorten them, or list names`,
          { param: 'peft' },
        );
      });
      checkStoredWeights(peft, config, tensors);
    },
    close: thread.close,
  };
}
