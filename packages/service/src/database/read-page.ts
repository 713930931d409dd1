import { GraftError } from '@graft/peft-core/config';
import type { Database } from './database.ts';

export interface Page<T> {
  data: T[];
  hasMore: boolean;
}

interface PageQuery {
  /** Constant SQL, all three. */
  table: string;
  columns: string;
  /** Column that orders, with the id to break ties; default created_at. */
  orderBy?: string;
  order: 'asc' | 'desc';
  /** `sql` is constant and stands before the value, e.g. `purpose =`. */
  filters?: { sql: string; value: unknown }[];
  /** Id of the last row of the page before. */
  after?: string | undefined;
  limit: number;
}

/** One page of a team's rows, by keyset. Throws GraftError `invalid_cursor` when `after` is not one of its rows. */
export async function readPage<T extends object>(
  db: Database,
  teamId: string,
  query: PageQuery,
): Promise<Page<T>> {
  const { table, orderBy = 'created_at', order } = query;
  const values: unknown[] = [teamId];
  const conditions = [`${table}.team_id = $1`];
  for (const filter of query.filters ?? []) {
    values.push(filter.value);
    conditions.push(`${table}.${filter.sql} $${values.length}`);
  }
  if (query.after !== undefined) {
    values.push(query.after);
    const cursor = `SELECT c.${orderBy}, c.id FROM ${table} c WHERE c.team_id = $1 AND c.id = $${values.length}`;
    const { rowCount } = await db.sql.query(`SELECT 1 FROM ${table} WHERE team_id = $1 AND id = $2`, [
      teamId,
      query.after,
    ]);
    if (!rowCount) {
      throw new GraftError('invalid_cursor', `No such object to list after: ${query.after}`, {
        param: 'after',
      });
    }
    conditions.push(`(${table}.${orderBy}, ${table}.id) ${order === 'desc' ? '<' : '>'} (${cursor})`);
  }
  values.push(query.limit + 1);
  const { rows } = await db.sql.query<T>(
    `SELECT ${query.columns} FROM ${table} WHERE ${conditions.join(' AND ')}
     ORDER BY ${table}.${orderBy} ${order}, ${table}.id ${order} LIMIT $${values.length}`,
    values,
  );
  return { data: rows.slice(0, query.limit), hasMore: rows.length > query.limit };
}
