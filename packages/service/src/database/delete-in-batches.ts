import type { Database } from './database.ts';

/** Rows that one statement deletes, in some hundred milliseconds. */
const batch = 5_000;

/** Deletes the rows of a table that meet an SQL condition, by short statements. Returns false if `stopping` was aborted before the end. */
export async function deleteInBatches(
  { sql }: Pick<Database, 'sql'>,
  table: string,
  condition: string,
  values: unknown[] = [],
  stopping?: AbortSignal,
): Promise<boolean> {
  for (let count = batch; count === batch; ) {
    if (stopping?.aborted) return false;
    const { rowCount } = await sql.query(
      `DELETE FROM ${table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM ${table} WHERE ${condition} LIMIT ${batch}))`,
      values,
    );
    count = rowCount ?? 0;
  }
  return true;
}
