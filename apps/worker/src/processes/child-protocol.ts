import type { ChildFault } from './child-fault.ts';
import type { Check } from './message-schemas.ts';

/**
 * The messages between a worker and one kind of child process. The child answers each call with any number of events,
 * then exactly one result or `{ type: 'failed', fault }`. `{ type: 'stop' }` asks it to end the running call early.
 */
export interface Messages {
  call: { type: string };
  event: { type: string };
  result: { type: string };
}

/** How a child process ended: by itself with a code, or by a signal. Both null: it could not be started. */
export interface ChildExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export type Failed = { type: 'failed'; fault: ChildFault };

/** All messages from a child. `ready`: its engine is loaded. */
export type FromChild<M extends Messages> = { type: 'ready' } | M['event'] | M['result'] | Failed;
export type ToChild<M extends Messages> = M['call'] | { type: 'stop' };

export interface Protocol<M extends Messages> {
  results: readonly M['result']['type'][];
  check: Check;
}
