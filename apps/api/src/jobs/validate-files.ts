import { startThread } from './start-thread.ts';
import type { ValidationReport, ValidationTask } from './validation-thread.ts';

/** Heap of the thread. It holds one batch of examples at a time; the rest is the tokenizer. */
const maxHeapMb = 1024;

/**
 * Runs one validation in a thread of its own, so that the event loop stays free. Rejects when the thread breaks (a
 * system fault) or `signal` fires.
 */
export async function validateFiles(task: ValidationTask, signal: AbortSignal): Promise<ValidationReport> {
  signal.throwIfAborted();
  const thread = startThread(new URL('./validation-thread.ts', import.meta.url), {
    workerData: task,
    resourceLimits: { maxOldGenerationSizeMb: maxHeapMb },
    // No key, pepper or database URL belongs in there.
    env: {},
  });
  const stop = () => void thread.terminate();
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await new Promise<ValidationReport>((resolve, reject) => {
      thread.once('message', resolve);
      thread.once('error', reject);
      thread.once('exit', (code) =>
        reject(signal.aborted ? signal.reason : new Error(`The thread ended with ${code}`)),
      );
    });
  } finally {
    signal.removeEventListener('abort', stop);
    await thread.terminate();
  }
}
