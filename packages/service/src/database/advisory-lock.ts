import type { Transaction } from './database.ts';
import { RowBusy } from './wait-for-row.ts';

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
