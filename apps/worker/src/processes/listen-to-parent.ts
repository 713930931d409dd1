import type { FromChild, Messages, ToChild } from './forked-process.ts';
import { startWatchdog } from './watchdog.ts';

/**
 * The child's side of a `ForkedProcess`: passes the worker's messages to `onMessage`, and returns the function that sends
 * messages to the worker. Called before TensorFlow is loaded, which takes a second or more.
 */
export function listenToParent<M extends Messages>(
  onMessage: (message: ToChild<M>) => void,
): (message: FromChild<M>) => void {
  startWatchdog();
  process.on('message', onMessage);
  // Ctrl-C reaches the whole process group, but the worker ends its children in its own order.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});
  // With a callback, a worker that has just died is no uncaught error; the watchdog ends this process.
  return (message) => void process.send?.(message, undefined, undefined, () => {});
}
