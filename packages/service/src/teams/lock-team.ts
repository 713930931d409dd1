import type { Database, Transaction } from '../database/database.ts';
import { inRowTransaction } from '../database/in-transaction.ts';
import { Prisma } from '../generated/client.ts';

/**
 * Runs `work` in a transaction that locks the team's row, so that decisions about all members are made one at a time. `alone` also blocks
 * the creation of objects of the team, such as jobs. Null: no such team. Throws an error for which `isRowLocked` holds if another
 * transaction locks the row for two seconds.
 */
export async function withTeamLocked<T>(
  db: Database,
  teamId: string,
  { alone }: { alone: boolean },
  work: (tx: Transaction) => Promise<T>,
): Promise<T | null> {
  const strength = alone ? Prisma.sql`FOR UPDATE` : Prisma.sql`FOR NO KEY UPDATE`;
  return await inRowTransaction(db, `team ${teamId}`, async (tx) => {
    const found = await tx.$queryRaw<object[]>`
        SELECT 1 FROM teams WHERE id = ${teamId} AND deleted_at IS NULL ${strength} NOWAIT`;
    return found.length === 0 ? null : await work(tx);
  });
}
