import type pg from 'pg';
import type { Database } from './database.ts';

/**
 * Runs `work` in one transaction on one connection: committed when it resolves, rolled back when it throws.
 * No queue, storage or network call belongs inside.
 */
export async function inTransaction<T>(
  { sql }: Database,
  work: (tx: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const tx = await sql.connect();
  let fault: Error | undefined;
  try {
    await tx.query('BEGIN');
    const result = await work(tx);
    await tx.query('COMMIT');
    return result;
  } catch (error) {
    await tx.query('ROLLBACK').catch((broken: Error) => {
      fault = broken;
    });
    throw error;
  } finally {
    // A connection that could not roll back is thrown away, not handed to the next caller.
    tx.release(fault);
  }
}
