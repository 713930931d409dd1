import { setTimeout as sleep } from 'node:timers/promises';
import { isRowLocked } from './database-away.ts';

/** Milliseconds that a request waits for a row that another transaction has locked, and between two looks at it. */
const patience = 2_000;
const pauseMs = 25;
/** Milliseconds that it waits in all, while those before it do get the row. */
const longestMs = 10_000;

/** The last of those in this process that wait for a row, by its name. */
const queues = new Map<string, Promise<unknown>>();

/** Another transaction, perhaps of a process that is frozen, holds the row. `isDatabaseAway` and `isRowLocked` know it. */
export class RowBusy extends Error {
  readonly code = '55P03';

  constructor() {
    super('Another transaction holds the row');
  }
}

/**
 * Runs `attempt`, a transaction that best takes its locks without waiting (`NOWAIT`), again until they are free, and
 * rejects with what it threw after two seconds. Of all in this process that want `row` one looks at a time, and the
 * others wait in memory, not on connections of the pool. So one stuck row slows nobody who wants another. The two seconds begin
 * anew whenever one of them is done: many who want the same row on a slow machine are no reason to refuse the last of them.
 */
export async function waitForRow<T>(row: string, attempt: () => Promise<T>): Promise<T> {
  const start = performance.now();
  let end = start + patience;
  const before = queues.get(row);
  const own = (async () => {
    const isStuck = await before?.then(() => false, isRowLocked);
    if (isStuck === false) end = Math.min(performance.now() + patience, start + longestMs);
    for (;;) {
      // Whoever stood before may have waited just as long for nothing.
      if (before && performance.now() > end) throw new RowBusy();
      try {
        return await attempt();
      } catch (error) {
        if (!isRowLocked(error) || performance.now() > end) throw error;
        await sleep(pauseMs);
      }
    }
  })();
  queues.set(row, own);
  try {
    return await own;
  } finally {
    if (queues.get(row) === own) queues.delete(row);
  }
}
