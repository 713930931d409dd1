import type { Database, Transaction } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { waitForRow } from '../database/wait-for-row.ts';
import { Prisma } from '../generated/client.ts';

/**
 * `work` in a transaction that holds the team's row: whatever must be true of all its members is decided by one at a
 * time. `alone` also keeps out whoever makes something of the team's, such as a job. Null: no such team. Throws what
 * `isRowLocked` knows when another transaction holds the row for two seconds.
 */
export async function withTeamLocked<T>(
  db: Database,
  teamId: string,
  { alone }: { alone: boolean },
  work: (tx: Transaction) => Promise<T>,
): Promise<T | null> {
  const strength = alone ? Prisma.sql`FOR UPDATE` : Prisma.sql`FOR NO KEY UPDATE`;
  return await waitForRow(`team ${teamId}`, async () =>
    inTransaction(db, async (tx) => {
      const found = await tx.$queryRaw<object[]>`
        SELECT 1 FROM teams WHERE id = ${teamId} AND deleted_at IS NULL ${strength} NOWAIT`;
      return found.length === 0 ? null : await work(tx);
    }),
  );
}
