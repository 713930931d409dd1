import { Worker } from 'node:worker_threads';
import type { FromChild, Messages, ToChild } from './forked-process.ts';
import { fromWire, toWire } from './message-lines.ts';
import type { Check } from './message-schemas.ts';

/**
 * The child's side of a `ForkedProcess`: passes the worker's messages to `onMessage`, and returns the function that sends messages to
 * the worker. Call it before loading TensorFlow, which takes a second or more. A message that fails `check` ends this process.
 */
export function listenToParent<M extends Messages>(
  check: Check,
  onMessage: (message: ToChild<M>) => void,
): (message: FromChild<M>) => void {
  startWatchdog();
  process.on('message', (received) => {
    const message = fromWire(received);
    const fault = check(message);
    if (fault !== null) throw new Error(`The worker sent ${fault}`);
    onMessage(message as ToChild<M>);
  });
  // Ctrl-C reaches the whole process group, but the worker ends its children in order.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});
  // With a callback, sending to a worker that has just died throws no uncaught error. The watchdog then ends this process.
  return (message) => void process.send?.(toWire(message), undefined, undefined, () => {});
}

// Plain JavaScript, so that the thread needs no TypeScript loader. `until`: milliseconds of the machine's monotonic clock.
const watch = (parent: number, leaseFd: number | null) => `
  let until = Infinity, rest = '';
  if (${leaseFd} !== null) {
    const lease = new (require('node:net').Socket)({ fd: ${leaseFd} });
    lease.setEncoding('utf8').on('error', () => {}).on('data', (text) => {
      const lines = (rest + text).split('\\n');
      rest = lines.pop();
      if (lines.length > 0) until = Number(lines.at(-1));
    });
  }
  const now = () => Number(process.hrtime.bigint() / 1000000n);
  setInterval(() => { if (process.ppid !== ${parent} || now() > until) process.kill(process.pid, 'SIGKILL') }, 500)
`;

/**
 * Ends this process within a second of its parent's death, or of the end of its lease, which a frozen parent does not renew. A thread
 * does this, because the main thread may spend seconds in a TensorFlow step, where neither timers nor a closed IPC channel are noticed.
 * The parent passes its pid, because process.ppid names another process if the parent has already ended.
 */
function startWatchdog(): void {
  const parent = Number(process.env.GRAFT_PARENT_PID);
  if (!Number.isInteger(parent))
    throw new Error('GRAFT_PARENT_PID is missing: this file is started by a worker.');
  // The descriptor on which the parent sends the end of the lease.
  const fd = process.env.GRAFT_LEASE_FD;
  new Worker(watch(parent, fd ? Number(fd) : null), { eval: true, execArgv: [] }).unref();
  process.once('disconnect', () => process.exit(1));
}
