import { GraftError } from '@graft/peft-core/config';
import { createThread, ThreadEnded, ThreadTimeout } from '@graft/peft-core/threads';
import type { CheckAnswer } from './answer-checks.ts';
import { createFairQueue } from './fair-queue.ts';

/** Runs checks of untrusted input in a thread. */
interface CheckThread<Input extends object, Result> {
  /**
   * `input`: or a function that prepares it when it is the team's turn. Throws its errors, the GraftErrors of the check, ThreadTimeout if
   * it took longer than the limit twice, ThreadEnded if the thread ended twice, and QueueFull if too many checks wait.
   */
  run(teamId: string, input: Input | (() => Promise<Input>)): Promise<Result>;
  close(): Promise<void>;
}

interface CheckThreadOptions {
  heapMb: number;
  /** Maximum milliseconds of a check: on a busy machine one that is allowed may take longer. */
  timeoutMs: number;
}

/** Milliseconds to load the thread's modules before its first check. */
const startMs = 30_000;

/** Runs `work` again if its thread took too long, which may be due to a busy machine, or ended. Throws its errors, those too the second time. */
export async function tryTwice<T>(work: () => Promise<T>): Promise<T> {
  return await work().catch(async (error: unknown) => {
    if (!(error instanceof ThreadTimeout || error instanceof ThreadEnded)) throw error;
    return await work();
  });
}

/** Runs one check at a time, with waiting teams in turn. `module` calls `answerChecks`. */
export function createCheckThread<Input extends object, Result>(
  module: URL,
  { heapMb, timeoutMs }: CheckThreadOptions,
): CheckThread<Input, Result> {
  const thread = createThread<Input | null, CheckAnswer<Result> | null>(module, heapMb);
  const queue = createFairQueue({ running: { perOwner: 1, all: 1 }, waiting: { perOwner: 16, all: 256 } });

  async function check(input: Input): Promise<Result> {
    const answer = await tryTwice(async () => {
      await thread.call(null, { ms: startMs });
      return (await thread.call(input, { ms: timeoutMs }))!;
    });
    if ('result' in answer) return answer.result;
    throw new GraftError(answer.fault.code, answer.fault.message, answer.fault);
  }

  return {
    run: async (teamId, input) =>
      await queue.run(teamId, async () => await check(typeof input === 'function' ? await input() : input)),
    close: thread.close,
  };
}
