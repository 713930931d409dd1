import { setTimeout as sleep } from 'node:timers/promises';
import type { Database, Transaction } from './database.ts';
import { isDatabaseAway } from './database-away.ts';

/** Milliseconds: as long as the pool waits for a connection, and as long as one transaction may take. */
const limits = { maxWait: 5_000, timeout: 30_000 };

/**
 * Milliseconds during which Postgres is asked again what became of a COMMIT: longer than it keeps the transaction of a client
 * that it has not seen go.
 */
const patience = 6_500;

/**
 * Runs `work` in one transaction on one connection: committed when it resolves, rolled back when it throws. No queue,
 * storage or network call belongs inside. When the answer to the COMMIT is lost with the connection, Postgres is asked
 * what became of it: this resolves if it was committed, and rejects if it was not. Only when Postgres stays away is it
 * unknown, as the error's message says: read again before repeating.
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
    if (!done || !isDatabaseAway(error)) throw error;
    // Nothing was written, so nothing is in doubt.
    if (done.xid === null || (await hasCommitted(db, done.xid, error))) return done.result;
    throw error;
  }
}

/** Null: it has written nothing so far. */
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
      // In progress: Postgres has not noticed yet that the connection is gone, or is at the COMMIT.
      if (row?.status !== 'in progress') return row?.status === 'committed';
    } catch (error) {
      if (!isDatabaseAway(error)) throw error;
    }
  }
  throw new Error('Postgres went away at a COMMIT; whether it was done is not known', { cause: fault });
}
