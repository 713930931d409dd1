import { GraftError } from '@graft/peft-core/config';
import type { CheckedAdapter } from '@graft/peft-core/files';
import type { ThreadShare } from '@graft/service/environment';
import { createCheckThread } from '../threads/check-thread.ts';
import type { AdapterCheck } from './adapter-check-thread.ts';

interface AdapterChecker {
  /**
   * Checks a received folder. Throws GraftErrors that name file, key or option; QueueFull if too many checks wait, and ThreadTimeout if
   * the machine is too busy: the sizes of files bound what a check costs.
   */
  check(teamId: string, check: AdapterCheck): Promise<CheckedAdapter>;
  close(): Promise<void>;
}

/** Checks one adapter at a time, with waiting teams in turn, each for at most `timeoutMs`. */
export function createAdapterChecker(
  timeoutMs: number,
  { heapMb }: Pick<ThreadShare, 'heapMb'>,
): AdapterChecker {
  const module = new URL('./adapter-check-thread.ts', import.meta.url);
  const thread = createCheckThread<AdapterCheck, CheckedAdapter>(module, { heapMb, timeoutMs });
  return {
    check: async (teamId, check) =>
      await thread.run(teamId, check).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ERR_WORKER_OUT_OF_MEMORY') throw error;
        const message = `The adapter takes more memory to check than ${heapMb} MiB, the limit.`;
        throw new GraftError('invalid_adapter_file', message, { param: 'file' });
      }),
    close: thread.close,
  };
}
