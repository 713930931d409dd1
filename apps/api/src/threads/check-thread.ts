import { GraftError } from '@graft/peft-core/config';
import { createThread } from '@graft/peft-core/threads';
import { ApiError } from '../api-error.ts';
import type { CheckAnswer } from './answer-checks.ts';
import { createFairQueue, QueueFull } from './fair-queue.ts';

/** Runs checks of untrusted input in a thread. */
interface CheckThread<Input extends object, Result> {
  /**
   * `input`: or a function that prepares it when it is the team's turn. Throws its errors, the GraftErrors of the check, ThreadTimeout after the time limit, and ApiError `service_unavailable` if too many checks wait.
   */
  run(teamId: string, input: Input | (() => Promise<Input>)): Promise<Result>;
  close(): Promise<void>;
}

interface CheckThreadOptions {
  heapMb: number;
  /** Maximum milliseconds of a check. */
  timeoutMs: number;
  /** Message if too many checks wait. */
  busy: string;
}

/** Milliseconds to load the thread's modules before its first check. */
const startMs = 30_000;

/** Runs one check at a time, with waiting teams in turn. `module` calls `answerChecks`. */
export function createCheckThread<Input extends object, Result>(
  module: URL,
  { heapMb, timeoutMs, busy }: CheckThreadOptions,
): CheckThread<Input, Result> {
  const thread = createThread<Input | null, CheckAnswer<Result> | null>(module, heapMb);
  const queue = createFairQueue({ running: { perOwner: 1, all: 1 }, waiting: { perOwner: 16, all: 256 } });

  async function check(input: Input): Promise<Result> {
    await thread.call(null, { ms: startMs });
    const answer = (await thread.call(input, { ms: timeoutMs }))!;
    if ('result' in answer) return answer.result;
    throw new GraftError(answer.fault.code, answer.fault.message, answer.fault);
  }

  return {
    run: async (teamId, input) =>
      await queue
        .run(teamId, async () => await check(typeof input === 'function' ? await input() : input))
        .catch((error: unknown) => {
          if (!(error instanceof QueueFull)) throw error;
          throw new ApiError('service_unavailable', busy, { headers: { 'retry-after': '5' } });
        }),
    close: thread.close,
  };
}
