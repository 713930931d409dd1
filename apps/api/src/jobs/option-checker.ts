import { checkAgainstModel, checkStoredWeights, stepsOfCheck } from '@graft/peft-core/check';
import type { PeftConfig } from '@graft/peft-core/config';
import type { LocalBaseModel } from '@graft/service/base-models';
import type { ThreadShare } from '@graft/service/environment';
import { type Demands, type DemandsBody, demandsOf } from '../answer-demands.ts';
import { createCheckThread } from '../threads/check-thread.ts';
import type { OptionCheck } from './option-check-thread.ts';

export interface OptionChecker {
  /**
   * Checks a PEFT config against its base model. Throws GraftErrors that name the option, also for one whose number of
   * steps is over the limit; QueueFull if too many checks wait, and ThreadTimeout if the machine is too busy for it.
   */
  check(teamId: string, peft: PeftConfig, model: Pick<LocalBaseModel, 'config' | 'tensors'>): Promise<void>;
  /** Reads the demands on an answer as `demandsOf` does; a promise where the thread reads the schemas. Throws as `check` does. */
  demands(teamId: string, body: DemandsBody): Demands | Promise<Demands>;
  close(): Promise<void>;
}

/** Maximum matching steps on the event loop, a few milliseconds. Plain names, the usual case, need none. */
const stepsAtOnce = 20_000;
/** Maximum steps of reading an answer's schemas on the event loop, some 5 ms: those of usual size need fewer. */
const schemaStepsAtOnce = 15_000;

/** Runs small checks inline; slower regular expressions and schemas run in a thread, one at a time, with teams in turn. */
export function createOptionChecker(
  timeoutMs: number,
  { heapMb }: Pick<ThreadShare, 'heapMb'>,
): OptionChecker {
  const module = new URL('./option-check-thread.ts', import.meta.url);
  const thread = createCheckThread<OptionCheck | { demands: DemandsBody }, Demands | undefined>(module, {
    heapMb,
    timeoutMs,
  });

  return {
    async check(teamId, peft, { config, tensors }) {
      if (stepsOfCheck(peft, config) <= stepsAtOnce) {
        checkAgainstModel(peft, config, tensors);
        return;
      }
      await thread.run(teamId, { peft, modelConfig: config });
      checkStoredWeights(peft, config, tensors);
    },
    demands(teamId, body) {
      const budget = { left: schemaStepsAtOnce };
      try {
        return demandsOf(body, budget);
      } catch (error) {
        if (budget.left >= 0) throw error;
      }
      const { tools, tool_choice, parallel_tool_calls, response_format } = body;
      const demands = { tools, tool_choice, parallel_tool_calls, response_format } as DemandsBody;
      return thread.run(teamId, { demands }) as Promise<Demands>;
    },
    close: thread.close,
  };
}
