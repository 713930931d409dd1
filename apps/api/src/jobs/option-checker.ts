import { checkAgainstModel, checkStoredWeights, stepsOfCheck } from '@graft/peft-core/check';
import { GraftError, type PeftConfig } from '@graft/peft-core/config';
import { createThread, ThreadTimeout } from '@graft/peft-core/threads';
import type { LocalBaseModel } from '@graft/service';
import { ApiError } from '../api-error.ts';
import { createFairQueue, QueueFull } from '../threads/fair-queue.ts';
import type { OptionCheck, OptionFault } from './option-check-thread.ts';

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
const heapMb = 256;
/** Milliseconds to load the thread's modules before its first check. */
const startMs = 30_000;

/** Runs small checks inline; slower regular expressions run in a thread, one at a time, with teams in turn. */
export function createOptionChecker(checkTimeoutMs: number): OptionChecker {
  const thread = createThread<OptionCheck | null, OptionFault | null>(
    new URL('./option-check-thread.ts', import.meta.url),
    heapMb,
  );
  const queue = createFairQueue({
    running: { perOwner: 1, all: 1 },
    waiting: { perOwner: 16, all: 256 },
  });

  async function checkApart(teamId: string, check: OptionCheck): Promise<OptionFault | null> {
    try {
      return await queue.run(teamId, async () => {
        await thread.call(null, { ms: startMs });
        return await thread.call(check, { ms: checkTimeoutMs });
      });
    } catch (error) {
      if (error instanceof QueueFull) {
        throw new ApiError('service_unavailable', 'Too many checks of regular expressions wait; try again.', {
          headers: { 'retry-after': '5' },
        });
      }
      if (error instanceof ThreadTimeout) {
        throw new GraftError(
          'invalid_peft_config',
          `matching the regular expressions of peft with the modules of this model took more than ${checkTimeoutMs / 1000} s, the limit; shorten them, or list names`,
          { param: 'peft' },
        );
      }
      throw error;
    }
  }

  return {
    async check(teamId, peft, { config, tensors }) {
      if (stepsOfCheck(peft, config) <= stepsAtOnce) {
        checkAgainstModel(peft, config, tensors);
        return;
      }
      const fault = await checkApart(teamId, { peft, modelConfig: config });
      if (fault) throw new GraftError(fault.code, fault.message, fault);
      checkStoredWeights(peft, config, tensors);
    },
    close: async () => await thread.close(),
  };
}
