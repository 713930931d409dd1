/** A thread that answers immediately and sets a flag when it has answered; without a flag it never answers. */
import { parentPort } from 'node:worker_threads';
import { answerCalls } from '../thread.ts';

answerCalls<{ answered: Int32Array | null }, string>(parentPort!, ({ answered }) => {
  while (!answered) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
  Atomics.store(answered, 0, 1);
  Atomics.notify(answered, 0);
  return 'answer';
});
