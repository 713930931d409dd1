import { setTimeout as sleep } from 'node:timers/promises';
import type { Database, Transaction } from './database.ts';
import { withSystemScope } from './database-scope.ts';
import { isDatabaseUnavailable } from './database-unavailable.ts';
import { waitForRow } from './wait-for-row.ts';

/** Maximum wait for a connection and maximum duration of a transaction, in milliseconds. */
const limits = { maxWait: 5_000, timeout: 30_000 };

/**
 * Milliseconds for which Postgres is asked about the outcome of a COMMIT: longer than it keeps the transaction of a client whose
 * disconnection it has not noticed.
 */
const patience = 6_500;

/**
 * Runs `work` in one transaction on one connection: commits when it resolves, rolls back when it throws. `work` must not use the queue, the
 * storage or the network. If the connection is lost during COMMIT, asks Postgres for the outcome: resolves if the transaction was committed
 * and rejects if not. Only if Postgres stays unavailable is the outcome unknown, as the error's message says: read again before retrying.
 */
export async function inTransaction<T>(
  db: Pick<Database, 'db'>,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  let done: { result: T; xid: string | null } | undefined;
  try {
    return await db.db.$transaction(async (tx) => {
      const result = await work(tx);
      done = { result, xid: await readTransactionId(tx) };
      return result;
    }, limits);
  } catch (error) {
    if (!done || !isDatabaseUnavailable(error)) throw error;
    // Nothing was written, so the outcome does not matter.
    if (done.xid === null || (await hasCommitted(db, done.xid, error))) return done.result;
    throw error;
  }
}

/** As `inTransaction`, but retries while another transaction holds `row`: see `waitForRow`. */
export async function inRowTransaction<T>(
  db: Pick<Database, 'db'>,
  row: string,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  return await waitForRow(row, async () => await inTransaction(db, work));
}

/** As `inTransaction`, for all teams: see `withSystemScope`. */
export async function inSystemTransaction<T>(
  db: Pick<Database, 'db'>,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  return await withSystemScope(() => inTransaction(db, work));
}

/** Null: the transaction has not written anything so far. */
async function readTransactionId(tx: Transaction): Promise<string | null> {
  const [row] = await tx.$queryRaw<
    { xid: string | null }[]
  >`SELECT pg_current_xact_id_if_assigned()::text AS xid`;
  return row?.xid ?? null;
}

async function hasCommitted({ db }: Pick<Database, 'db'>, xid: string, fault: unknown): Promise<boolean> {
  for (const end = performance.now() + patience; performance.now() < end; await sleep(100)) {
    try {
      const [row] = await db.$queryRaw<
        { status: string | null }[]
      >`SELECT pg_xact_status(${xid}::xid8) AS status`;
      // In progress: Postgres has not noticed the lost connection yet, or is still committing.
      if (row?.status !== 'in progress') return row?.status === 'committed';
    } catch (error) {
      if (!isDatabaseUnavailable(error)) throw error;
    }
  }
  throw new Error('Postgres became unavailable during a COMMIT; its outcome is unknown', { cause: fault });
}
