import { ThreadTimeout } from '@graft/peft-core/threads';
import { isDatabaseUnavailable, isRowLocked, isStatementTooSlow } from '@graft/service/database';
import { QueueFull } from './threads/fair-queue.ts';

/**
 * Resource that the server lacked for a valid request: a turn, a row that another request holds, time for a statement, Postgres or a
 * connection to it, time or memory of a thread, or files, sockets, threads and memory of the machine.
 */
export type Shortage = 'turn' | 'row' | 'statement' | 'database' | 'thread' | 'machine';

/**
 * Returns what an error says the server lacks; null: the error is another one. Every answer follows this one rule: code that catches errors
 * to blame the user must let these pass. The order matters, since a row and a statement are lacking in a database that is available.
 */
export function shortageOf(error: unknown): Shortage | null {
  if (error instanceof QueueFull) return 'turn';
  if (error instanceof ThreadTimeout) return 'thread';
  if (isRowLocked(error)) return 'row';
  if (isStatementTooSlow(error)) return 'statement';
  if (isDatabaseUnavailable(error)) return 'database';
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (typeof code === 'string' && threadCodes.has(code)) return 'thread';
  const lacksMemory = error instanceof RangeError && /allocation failed/.test(String(message));
  return lacksMemory || (typeof code === 'string' && machineCodes.has(code)) ? 'machine' : null;
}

/** Node's codes for threads that cannot start, or that run out of memory: another call of a shared thread may have used it. */
const threadCodes = new Set(['ERR_WORKER_INIT_FAILED', 'ERR_WORKER_OUT_OF_MEMORY']);

/** Codes for a process or machine without file handles, memory, processes, buffers or ports. */
const machineCodes = new Set([
  ...['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'EBUSY', 'ENOBUFS', 'EADDRNOTAVAIL'],
  'ERR_MEMORY_ALLOCATION_FAILED',
]);
