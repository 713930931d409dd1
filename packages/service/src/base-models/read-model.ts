import type { Worker } from 'node:worker_threads';
import { GraftError } from '@graft/peft-core/config';
import { startWorker, ThreadTimeout } from '@graft/peft-core/threads';
import type { ThreadShare } from '../environment/thread-plan.ts';
import type { ReadMessage, ReadModel } from './read-model-thread.ts';

/** Limits for reading the small files of one model. */
export interface ReadLimits {
  /** Heap size of the thread in MiB. */
  heapMb: number;
  timeoutMs: number;
}

const timeoutMs = 120_000;

/** Threads of this process, each with a separate heap. */
let threads: ThreadShare = { count: 2, heapMb: 2048 };
let running = 0;
const waiting: (() => void)[] = [];

/**
 * Reads a base model's small files in a dedicated thread, so that neither their size nor their faults affect the event loop. Throws
 * openBaseModel's GraftErrors, `invalid_model` naming the file whose reading takes too much memory, and ThreadTimeout.
 */
export async function readModel(
  location: string,
  limits: ReadLimits = { heapMb: threads.heapMb, timeoutMs },
): Promise<ReadModel> {
  if (running >= threads.count) await new Promise<void>((resolve) => waiting.push(resolve));
  else running++;
  try {
    return await readInThread(location, limits);
  } finally {
    // The next caller takes over this slot.
    const next = waiting.shift();
    if (next) next();
    else running--;
  }
}

interface Reader {
  thread: Worker;
  heapMb: number;
  onMessage(message: ReadMessage): void;
  onEnd(error: Error): void;
}

/** Idle threads whose modules are loaded. */
const idle = new Set<Reader>();
/** Time after which an idle thread is terminated to free its memory. */
const idleMs = 60_000;

function openReader(heapMb: number): Reader {
  const module = new URL('./read-model-thread.ts', import.meta.url);
  const thread = startWorker(module, heapMb, { yields: false });
  const reader: Reader = { thread, heapMb, onMessage: () => {}, onEnd: () => {} };
  thread.on('message', (message: ReadMessage) => reader.onMessage(message));
  thread.on('error', (error) => reader.onEnd(error));
  thread.on('exit', (code) => {
    idle.delete(reader);
    reader.onEnd(new Error(`The thread that reads base models ended with ${code}`));
  });
  // A waiting request keeps the process alive by its own timers and sockets.
  thread.unref();
  return reader;
}

function giveBack(reader: Reader): void {
  reader.onMessage = () => {};
  if (idle.size >= 1) return void reader.thread.terminate();
  const end = setTimeout(() => {
    if (idle.has(reader)) void reader.thread.terminate();
  }, idleMs).unref();
  reader.onEnd = () => clearTimeout(end);
  idle.add(reader);
}

function takeReader(heapMb: number): Reader {
  const reader = [...idle].find((each) => each.heapMb === heapMb);
  if (!reader) return openReader(heapMb);
  idle.delete(reader);
  reader.onEnd(new Error('taken'));
  return reader;
}

/** Sets the process's threads, and starts loading a thread's modules, so that the first request for a model does not wait for them. */
export function prepareToRead(share = threads): void {
  threads = share;
  if (idle.size === 0) giveBack(openReader(share.heapMb));
}

async function readInThread(location: string, { heapMb, timeoutMs }: ReadLimits): Promise<ReadModel> {
  let reading = location;
  const beyond = (what: string) => new GraftError('invalid_model', `${reading} ${what}`, { param: 'model' });
  const reader = takeReader(heapMb);
  let late: NodeJS.Timeout | undefined;
  const answer = await new Promise<Exclude<ReadMessage, { reading: string }>>((resolve, reject) => {
    // The sizes of these files are limited, so only a machine that is too busy takes as long.
    const slow = () => reject(new ThreadTimeout(`${reading} took longer to read than ${timeoutMs / 1000} s`));
    late = setTimeout(slow, timeoutMs);
    reader.onMessage = (message) => {
      if ('reading' in message) reading = message.reading;
      else resolve(message);
    };
    reader.onEnd = (error) =>
      reject(
        (error as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY'
          ? beyond(`takes more memory to read than ${heapMb} MiB, the limit`)
          : error,
      );
    reader.thread.postMessage(location);
  })
    .catch(async (error: unknown) => {
      await reader.thread.terminate();
      throw error;
    })
    .finally(() => clearTimeout(late));
  giveBack(reader);
  if ('model' in answer) return answer.model;
  if ('broken' in answer) throw new Error(answer.broken);
  const { code, message, param } = answer.fault;
  throw new GraftError(code, message, { param });
}
