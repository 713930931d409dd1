/** A thread that returns its niceness. */
import { getPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { answerCalls } from '../thread.ts';

answerCalls<null, number>(parentPort!, () => getPriority());
