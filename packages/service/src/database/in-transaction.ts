import type { Database, Transaction } from './database.ts';

/** Milliseconds: as long as the pool waits for a connection, and as long as one query may take. */
const limits = { maxWait: 5_000, timeout: 30_000 };

/**
 * Runs `work` in one transaction on one connection: committed when it resolves, rolled back when it throws.
 * No queue, storage or network call belongs inside.
 */
export async function inTransaction<T>(
  { db }: Pick<Database, 'db'>,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  return await db.$transaction(work, limits);
}

/**
 * A transaction that names the team it acts for (`graft.team_id`, gone at its end), for row-level security to read.
 * Queries inside still take teamId themselves.
 */
export async function withTeam<T>(
  db: Pick<Database, 'db'>,
  teamId: string,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  return await inTransaction(db, async (tx) => {
    await tx.$queryRaw`SELECT set_config('graft.team_id', ${teamId}, true)`;
    return await work(tx);
  });
}
