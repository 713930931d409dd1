import type { Worker } from 'node:worker_threads';
import { startWorker, ThreadTimeout } from '@graft/peft-core/threads';
import type { ThreadShare } from '@graft/service/environment';
import type { ValidationProgress } from '@graft/service/jobs';
import type { EstimateReport, EstimateTask } from './estimate-task.ts';
import type { FileMessage, FileTask } from './file-thread.ts';
import type { TaskTokenizer } from './task-tokenizer.ts';
import type { ValidationReport, ValidationTask } from './validation-task.ts';

/** An idle thread ends after this time, which frees its memory. */
const idleMs = 60_000;

/**
 * Runs each task in its own thread. Sends `task.tokenizerFiles` only to a thread that has other ones. Rejects with ThreadDied if the thread
 * ends by itself, with ThreadTimeout after `timeoutMs`, and when `signal` fires, which stops the thread immediately, even within a line. The
 * time that a new thread takes to load its modules does not count.
 */
export interface FileThreads {
  validate(
    task: ValidationTask & TaskTokenizer,
    options: { signal: AbortSignal; onProgress(progress: ValidationProgress): void; timeoutMs: number },
  ): Promise<ValidationReport>;
  estimate(
    task: EstimateTask & TaskTokenizer,
    options: { signal: AbortSignal; timeoutMs: number },
  ): Promise<EstimateReport>;
  close(): Promise<void>;
}

/** A thread ended before it reported: a system error that may happen again with the same file. */
export class ThreadDied extends Error {}

interface Thread {
  worker: Worker;
  tokenizerKey: string | null;
  idle: NodeJS.Timeout | undefined;
}

/**
 * Creates threads that read files, so that the event loop stays free. A thread runs one task at a time; its heap holds one line of at most
 * 4 MiB, or about 30 MiB of lines for an estimate, and the tokenizer. The caller limits how many tasks run.
 */
export function createFileThreads({ heapMb }: Pick<ThreadShare, 'heapMb'>): FileThreads {
  const free: Thread[] = [];
  const all = new Set<Thread>();

  async function end(thread: Thread): Promise<void> {
    clearTimeout(thread.idle);
    all.delete(thread);
    const at = free.indexOf(thread);
    if (at !== -1) free.splice(at, 1);
    await thread.worker.terminate();
  }

  function take(tokenizerKey: string): Thread {
    const same = free.findIndex((thread) => thread.tokenizerKey === tokenizerKey);
    const [thread] = free.splice(same === -1 ? 0 : same, 1);
    if (thread) {
      clearTimeout(thread.idle);
      return thread;
    }
    const opened: Thread = { worker: open(heapMb), tokenizerKey: null, idle: undefined };
    all.add(opened);
    opened.worker.once('exit', () => void end(opened));
    return opened;
  }

  function giveBack(thread: Thread): void {
    if (!all.has(thread)) return;
    free.push(thread);
    thread.idle = setTimeout(() => void end(thread), idleMs).unref();
  }

  async function run<Report extends ValidationReport | EstimateReport>(
    task: FileTask,
    options: AskOptions,
  ): Promise<Report> {
    options.signal.throwIfAborted();
    const thread = take(task.tokenizerKey);
    const known = thread.tokenizerKey === task.tokenizerKey;
    thread.tokenizerKey = task.tokenizerKey;
    try {
      const asked = known ? { ...task, tokenizerFiles: null } : task;
      // The report matches the kind of task.
      return (await ask(thread.worker, asked, options)) as Report;
    } catch (error) {
      // The thread is broken, or still busy with an abandoned task.
      await end(thread);
      throw error;
    } finally {
      giveBack(thread);
    }
  }

  return {
    validate: async ({ tokenizerKey, tokenizerFiles, chatTemplate, ...validate }, options) =>
      await run({ tokenizerKey, tokenizerFiles, chatTemplate, validate }, options),
    estimate: async ({ tokenizerKey, tokenizerFiles, chatTemplate, ...estimate }, options) =>
      await run({ tokenizerKey, tokenizerFiles, chatTemplate, estimate }, options),
    close: async () => {
      await Promise.all([...all].map(end));
    },
  };
}

interface AskOptions {
  signal: AbortSignal;
  onProgress?(progress: ValidationProgress): void;
  timeoutMs: number;
}

async function ask(
  worker: Worker,
  task: FileTask,
  { signal, onProgress, timeoutMs }: AskOptions,
): Promise<ValidationReport | EstimateReport> {
  let stopListening = () => {};
  let late: NodeJS.Timeout | undefined;
  try {
    return await new Promise((resolve, reject) => {
      const onMessage = (message: FileMessage) => {
        if ('started' in message) {
          late = setTimeout(() => reject(new ThreadTimeout()), timeoutMs);
        } else if ('progress' in message) onProgress?.(message.progress);
        else if ('report' in message) resolve(message.report);
        else reject(new Error(message.broken));
      };
      const onError = (cause: Error) => reject(new ThreadDied(reasonOf(cause), { cause }));
      const onExit = (code: number) =>
        reject(new ThreadDied(`The thread that read the files ended with ${code}.`));
      const onAbort = () => reject(signal.reason);
      worker.on('message', onMessage).once('error', onError).once('exit', onExit);
      signal.addEventListener('abort', onAbort, { once: true });
      stopListening = () => {
        worker.off('message', onMessage).off('error', onError).off('exit', onExit);
        signal.removeEventListener('abort', onAbort);
      };
      worker.postMessage(task);
    });
  } finally {
    clearTimeout(late);
    stopListening();
  }
}

function reasonOf(cause: Error & { code?: string }): string {
  return cause.code === 'ERR_WORKER_OUT_OF_MEMORY'
    ? 'The thread that read the files ran out of memory.'
    : 'The thread that read the files broke.';
}

function open(heapMb: number): Worker {
  const worker = startWorker(new URL('./file-thread.ts', import.meta.url), heapMb);
  // An idle thread has no other listener, and must not keep the process alive.
  worker.on('error', () => {});
  worker.unref();
  return worker;
}
