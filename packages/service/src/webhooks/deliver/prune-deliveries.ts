import type { Database } from '../../database/database.ts';

/** Days that published events and ended deliveries are kept. */
export const keptDays = { outbox: 7, deliveries: 30 };

export interface PruneLimits {
  /** Maximum rows per statement, so that no statement holds locks for long. */
  batch: number;
  /** Maximum statements per pass and table: the next pass continues. */
  batches: number;
}

/** Deletes old rows of published events, ended deliveries and expired secrets. Returns the numbers of deleted rows. */
export async function pruneDeliveries(
  { sql }: Pick<Database, 'sql'>,
  { batch, batches }: PruneLimits = { batch: 1_000, batches: 50 },
  signal?: AbortSignal,
): Promise<{ outbox: number; deliveries: number; secrets: number }> {
  const prune = async (table: string, condition: string): Promise<number> => {
    let removed = 0;
    for (let round = 0; round < batches && !signal?.aborted; round += 1) {
      const { rowCount } = await sql.query(
        `DELETE FROM ${table} WHERE id IN (SELECT id FROM ${table} WHERE ${condition} LIMIT ${batch} FOR UPDATE SKIP LOCKED)`,
      );
      removed += rowCount ?? 0;
      if ((rowCount ?? 0) < batch) break;
    }
    return removed;
  };
  const olderThan = (column: string, days: number) => `${column} < now() - interval '${days} days'`;
  return {
    outbox: await prune('outbox', olderThan('delivered_at', keptDays.outbox)),
    deliveries: await prune(
      'webhook_deliveries',
      `${olderThan('ended_at', keptDays.deliveries)} AND status <> 'pending'`,
    ),
    secrets: await prune('webhook_secrets', 'expires_at < now()'),
  };
}
