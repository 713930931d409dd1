import type { PeftConfig } from '@graft/peft-core/config';
import { ThreadTimeout } from '@graft/peft-core/threads';
import type { ThreadShare } from '@graft/service/environment';
import { ApiError } from '../api-error.ts';
import { createCheckThread } from '../threads/check-thread.ts';
import type { CombinationWork } from './combination-thread.ts';

interface Combiner {
  /**
   * Writes the files of a combination and returns its config. `prepare` runs when it is the team's turn, since staging folders and cached
   * files are removed after some minutes. Throws what it and `combineAdapters` throw; QueueFull if too many combinations wait,
   * and ApiError `overloaded` for one that takes too long twice.
   */
  combine(teamId: string, prepare: () => Promise<CombinationWork>): Promise<PeftConfig>;
  close(): Promise<void>;
}

/** Combines adapters in a thread, one combination at a time, with waiting teams in turn, each for at most `timeoutMs`. */
export function createCombiner(timeoutMs: number, { heapMb }: Pick<ThreadShare, 'heapMb'>): Combiner {
  const module = new URL('./combination-thread.ts', import.meta.url);
  const thread = createCheckThread<CombinationWork, PeftConfig>(module, { heapMb, timeoutMs });
  return {
    combine: async (teamId, prepare) =>
      await thread.run(teamId, prepare).catch((error: unknown) => {
        if (!(error instanceof ThreadTimeout)) throw error;
        throw new ApiError(
          'overloaded',
          `sources: combining these took longer than ${timeoutMs / 1000} s twice. Try again when the server is less busy, combine fewer or smaller versions, or use \`graft combine\` on your machine.`,
          { param: 'sources', headers: { 'retry-after': '60' } },
        );
      }),
    close: thread.close,
  };
}
