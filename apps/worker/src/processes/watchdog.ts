import { Worker } from 'node:worker_threads';

// Plain JavaScript, so that the thread needs no TypeScript loader.
const watch = (parent: number) => `
  setInterval(() => { if (process.ppid !== ${parent}) process.kill(process.pid, 'SIGKILL') }, 500)
`;

/**
 * Ends this process within a second of its parent's death, however that came. A thread, because the main thread
 * may be deep in a TensorFlow step for seconds: neither a timer nor the closed IPC channel would be noticed there.
 * The parent's pid comes from the parent itself: process.ppid names another process if it is already gone.
 */
export function startWatchdog(): void {
  const parent = Number(process.env.GRAFT_PARENT_PID);
  if (!Number.isInteger(parent))
    throw new Error('GRAFT_PARENT_PID is missing: this file is started by a worker.');
  new Worker(watch(parent), { eval: true, execArgv: [] }).unref();
  process.once('disconnect', () => process.exit(1));
}
