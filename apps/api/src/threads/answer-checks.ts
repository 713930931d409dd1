/** The thread's side of check-thread.ts, apart from it so that threads load little. */
import { parentPort } from 'node:worker_threads';
import { GraftError } from '@graft/peft-core/config';
import { answerCalls } from '@graft/peft-core/threads';

/** The result of a check, or its GraftError, whose class does not survive a transfer between threads. */
export type CheckAnswer<Result> =
  | { result: Result }
  | { fault: Pick<GraftError, 'code' | 'message' | 'param' | 'fault'> };

/** Answers each call with the result of `check`, or with its GraftError. */
export function answerChecks<Input, Result>(check: (input: Input) => Result | Promise<Result>): void {
  answerCalls<Input | null, CheckAnswer<Result> | null>(parentPort!, async (input) => {
    // The first call only waits until this module is loaded.
    if (input === null) return null;
    try {
      return { result: await check(input) };
    } catch (error) {
      if (!(error instanceof GraftError)) throw error;
      const { code, message, param, fault } = error;
      return { fault: { code, message, param, fault } };
    }
  });
}
