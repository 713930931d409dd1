import { GraftError, type PeftConfig } from '@graft/peft-core/config';
import { ThreadTimeout } from '@graft/peft-core/threads';
import type { ThreadShare } from '@graft/service';
import { createCheckThread } from '../threads/check-thread.ts';
import type { CombinationWork } from './combination-thread.ts';

interface Combiner {
  /**
   * Writes the files of a combination and returns its config. `prepare` runs when it is the team's turn, since staging folders and cached
   * files are removed after some minutes. Throws what it and `combineAdapters` throw; ApiError `service_unavailable` if too many
   * combinations wait.
   */
  combine(teamId: string, prepare: () => Promise<CombinationWork>): Promise<PeftConfig>;
  close(): Promise<void>;
}

/** Combines adapters in a thread, one combination at a time, with waiting teams in turn, each for at most `timeoutMs`. */
export function createCombiner(timeoutMs: number, { heapMb }: Pick<ThreadShare, 'heapMb'>): Combiner {
  const busy = 'Too many combinations of adapters are waiting; try again.';
  const module = new URL('./combination-thread.ts', import.meta.url);
  const thread = createCheckThread<CombinationWork, PeftConfig>(module, { heapMb, timeoutMs, busy });
  return {
    combine: async (teamId, prepare) =>
      await thread.run(teamId, prepare).catch((error: unknown) => {
        if (!(error instanceof ThreadTimeout)) throw error;
        throw new GraftError(
          'not_combinable',
          `sources: combining these takes longer than ${timeoutMs / 1000} s, the limit; combine fewer or smaller versions, or use \`graft combine\` on your machine.`,
          { param: 'sources' },
        );
      }),
    close: thread.close,
  };
}
