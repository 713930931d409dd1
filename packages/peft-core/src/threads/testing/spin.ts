/** A thread that works for `work` milliseconds of processor time after it has slept for `sleep` milliseconds. */
import { parentPort } from 'node:worker_threads';
import { answerCalls, ownProcessorTime } from '../thread.ts';

answerCalls<{ sleep: number; work: number }, string>(parentPort!, ({ sleep, work }) => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, sleep);
  for (const end = ownProcessorTime() + work; ownProcessorTime() < end; );
  return 'answer';
});
