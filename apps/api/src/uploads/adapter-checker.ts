import { GraftError } from '@graft/peft-core/config';
import type { CheckedAdapter } from '@graft/peft-core/files';
import { ThreadTimeout } from '@graft/peft-core/threads';
import type { ThreadShare } from '@graft/service';
import { createCheckThread } from '../threads/check-thread.ts';
import type { AdapterCheck } from './adapter-check-thread.ts';

interface AdapterChecker {
  /**
   * Checks a received folder. Throws GraftErrors that name file, key or option; ApiError `service_unavailable` if too many checks
   * wait.
   */
  check(teamId: string, check: AdapterCheck): Promise<CheckedAdapter>;
  close(): Promise<void>;
}

/** Checks one adapter at a time, with waiting teams in turn, each for at most `timeoutMs`. */
export function createAdapterChecker(
  timeoutMs: number,
  { heapMb }: Pick<ThreadShare, 'heapMb'>,
): AdapterChecker {
  const busy = 'Too many adapters are waiting to be checked; try again.';
  const module = new URL('./adapter-check-thread.ts', import.meta.url);
  const thread = createCheckThread<AdapterCheck, CheckedAdapter>(module, { heapMb, timeoutMs, busy });
  const refusal = (message: string) => new GraftError('invalid_adapter_file', message, { param: 'file' });

  return {
    check: async (teamId, check) =>
      await thread.run(teamId, check).catch((error: NodeJS.ErrnoException) => {
        if (error instanceof ThreadTimeout)
          throw refusal(`The adapter takes longer to check than ${timeoutMs / 1000} s, the limit.`);
        if (error.code === 'ERR_WORKER_OUT_OF_MEMORY')
          throw refusal(`The adapter takes more memory to check than ${heapMb} MiB, the limit.`);
        throw error;
      }),
    close: thread.close,
  };
}
