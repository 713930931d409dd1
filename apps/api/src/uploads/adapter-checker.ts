import { GraftError } from '@graft/peft-core/config';
import type { CheckedAdapter } from '@graft/peft-core/files';
import { createThread, ThreadTimeout } from '@graft/peft-core/threads';
import { ApiError } from '../api-error.ts';
import { createFairQueue, QueueFull } from '../threads/fair-queue.ts';
import type { AdapterCheck, AdapterFault } from './adapter-check-thread.ts';

interface AdapterChecker {
  /**
   * Checks a received folder. Throws GraftErrors that name file, key or option; ApiError `service_unavailable` if too many checks
   * wait.
   */
  check(teamId: string, check: AdapterCheck): Promise<CheckedAdapter>;
  close(): Promise<void>;
}

/** Heap of the thread: a header of 4 MiB becomes about 50 MB of objects. */
const heapMb = 256;
/** Milliseconds to load the thread's modules before its first check. */
const startMs = 30_000;

/** Checks one adapter at a time, with waiting teams in turn, each for at most `timeoutMs`. */
export function createAdapterChecker(timeoutMs: number): AdapterChecker {
  const thread = createThread<AdapterCheck | null, CheckedAdapter | AdapterFault | null>(
    new URL('./adapter-check-thread.ts', import.meta.url),
    heapMb,
  );
  const queue = createFairQueue({
    running: { perOwner: 1, all: 1 },
    waiting: { perOwner: 16, all: 256 },
  });
  const refusal = (message: string) => new GraftError('invalid_adapter_file', message, { param: 'file' });

  return {
    async check(teamId, check) {
      try {
        const answer = await queue.run(teamId, async () => {
          await thread.call(null, { ms: startMs });
          return await thread.call(check, { ms: timeoutMs });
        });
        if (answer && 'peft' in answer) return answer;
        throw new GraftError(answer!.code, answer!.message, { param: answer!.param });
      } catch (error) {
        if (error instanceof QueueFull) {
          throw new ApiError('service_unavailable', 'Too many adapters wait to be checked; try again.', {
            headers: { 'retry-after': '5' },
          });
        }
        if (error instanceof ThreadTimeout)
          throw refusal(`The adapter takes longer to check than ${timeoutMs / 1000} s, the limit.`);
        if ((error as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY')
          throw refusal(`The adapter takes more memory to check than ${heapMb} MiB, the limit.`);
        throw error;
      }
    },
    close: async () => await thread.close(),
  };
}
