import { Worker, type WorkerOptions } from 'node:worker_threads';
import type { ValidationReport, ValidationTask } from './validation-thread.ts';

/** Heap of the thread. It holds one batch of examples at a time; the rest is the tokenizer. */
const maxHeapMb = 1024;
/** An unused thread, and its memory, is ended after this time. */
const idleMs = 60_000;

export interface FileValidator {
  /** One task at a time. Rejects when the thread breaks (a system fault) or `signal` fires. */
  validate(task: ValidationTask, signal: AbortSignal): Promise<ValidationReport>;
  close(): Promise<void>;
}

/** Validates in a thread of its own, so that the event loop stays free; the thread serves one task after another. */
export function createFileValidator(): FileValidator {
  let thread: Worker | null = null;
  let idle: NodeJS.Timeout | undefined;

  async function close(): Promise<void> {
    clearTimeout(idle);
    const ending = thread;
    thread = null;
    await ending?.terminate();
  }

  async function validate(task: ValidationTask, signal: AbortSignal): Promise<ValidationReport> {
    signal.throwIfAborted();
    clearTimeout(idle);
    const worker = thread ?? open();
    thread = worker;
    let stopListening = () => {};
    try {
      return await new Promise<ValidationReport>((resolve, reject) => {
        const onExit = (code: number) => reject(new Error(`The validation thread ended with ${code}`));
        const onAbort = () => reject(signal.reason);
        worker.once('message', resolve).once('error', reject).once('exit', onExit);
        signal.addEventListener('abort', onAbort, { once: true });
        stopListening = () => {
          worker.off('message', resolve).off('error', reject).off('exit', onExit);
          signal.removeEventListener('abort', onAbort);
        };
        worker.postMessage(task);
      });
    } catch (error) {
      // The thread is broken, or busy with a task that was given up.
      await close();
      throw error;
    } finally {
      stopListening();
      idle = setTimeout(() => void close(), idleMs).unref();
    }
  }

  return { validate, close };
}

function open(): Worker {
  const worker = startThread(new URL('./validation-thread.ts', import.meta.url), {
    resourceLimits: { maxOldGenerationSizeMb: maxHeapMb },
    // The thread reads users' data and must know no key, pepper or database URL.
    env: {},
  });
  // An idle thread has no other listener, and must not keep the process alive.
  worker.on('error', () => {});
  worker.unref();
  return worker;
}

/**
 * A thread that runs a TypeScript module. On Node 20 the loader that `node --import tsx` installs does not reach
 * threads, so the thread installs it itself.
 */
function startThread(module: URL, options: WorkerOptions): Worker {
  const entry = `import(${JSON.stringify(module.href)})`;
  if (!module.pathname.endsWith('.ts')) return new Worker(entry, { ...options, eval: true });
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  return new Worker(`import(${loader}).then(({ register }) => { register(); return ${entry}; })`, {
    ...options,
    eval: true,
  });
}
