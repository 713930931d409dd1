import type { Messages, Said } from './forked-process.ts';
import { startWatchdog } from './watchdog.ts';

/**
 * The child's side of a `ForkedProcess`: hands over what the worker asks, and returns what sends messages to it. A
 * child calls this before it loads TensorFlow, which takes a second or more.
 */
export function listenToParent<M extends Messages>(
  onMessage: (message: M['question'] | { type: 'stop' }) => void,
): (message: Said<M>) => void {
  startWatchdog();
  process.on('message', onMessage);
  // Ctrl-C reaches the whole process group; the worker ends its children in its own order.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});
  // Without a callback a worker that has just died would be an uncaught error here; the watchdog knows.
  return (message) => void process.send?.(message, undefined, undefined, () => {});
}
