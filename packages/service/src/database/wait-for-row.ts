import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Transaction } from './database.ts';
import { isRowLocked } from './database-unavailable.ts';

/** Milliseconds that a request waits for a row that another transaction has locked, and between two attempts. */
const patience = 2_000;
const pauseMs = 25;
/** Maximum wait in milliseconds while earlier requests do get the row. */
const longestMs = 10_000;

/** The last waiting request of this process, by row. */
const queues = new Map<string, Promise<unknown>>();

type Around = <T>(wait: () => Promise<T>) => Promise<T>;

const around = new AsyncLocalStorage<Around>();

/** Runs `work`. Each time it waits for a row, it waits within `wrap`, which releases meanwhile what other requests could use. */
export function withWaits<T>(wrap: Around, work: () => T): T {
  return around.run(wrap, work);
}

/** Another transaction, possibly of a frozen process, holds the row. `isDatabaseUnavailable` and `isRowLocked` hold for this error. */
export class RowBusy extends Error {
  readonly code = '55P03';

  constructor() {
    super('Another transaction holds the row');
  }
}

/**
 * Retries `attempt`, a transaction that preferably takes its locks with `NOWAIT`, until the locks are free; rejects with its error after
 * two seconds. In this process only one request per `row` tries at a time; the others wait in memory, not on connections of the pool. So a
 * stuck row does not slow requests for other rows. The two seconds restart whenever an earlier request finishes: on a slow machine many
 * requests for the same row are no reason to reject the last one.
 */
export async function waitForRow<T>(row: string, attempt: () => Promise<T>): Promise<T> {
  const start = performance.now();
  let end = start + patience;
  const before = queues.get(row);
  const waiting: Around = around.getStore() ?? (async (wait) => await wait());
  const own = (async () => {
    const isStuck = before && (await waiting(async () => await before.then(() => false, isRowLocked)));
    if (isStuck === false) end = Math.min(performance.now() + patience, start + longestMs);
    for (;;) {
      // The previous request may have waited just as long without success.
      if (before && performance.now() > end) throw new RowBusy();
      try {
        return await attempt();
      } catch (error) {
        if (!isRowLocked(error) || performance.now() > end) throw error;
        await waiting(async () => await sleep(pauseMs));
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

/** Locks a name on all processes until the transaction ends; waits for another transaction that holds it. */
export async function lockName(tx: Transaction, name: string): Promise<void> {
  await tx.$queryRaw`SELECT pg_advisory_xact_lock(hashtextextended(${name}, 0))::text`;
}

/** As `lockName`, but throws RowBusy instead of waiting. Call in an attempt of `waitForRow`. */
export async function tryLockName(tx: Transaction, name: string): Promise<void> {
  const [lock] = await tx.$queryRaw<{ held: boolean }[]>`
    SELECT pg_try_advisory_xact_lock(hashtextextended(${name}, 0)) AS held`;
  if (!lock?.held) throw new RowBusy();
}
