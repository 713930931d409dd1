import { randomBytes } from 'node:crypto';
import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import type { Logger } from 'pino';
import { type Prisma, PrismaClient } from '../generated/client.ts';
import { connectionOptions } from './connection-options.ts';
import type { DatabaseScope } from './database-scope.ts';
import { type DatabaseRole, FencedPool, roleOf } from './fenced-pool.ts';

/** Two interfaces to Postgres over one connection pool; docs/decisions/0008-prisma-and-sql.md explains when to use which. */
export interface Database {
  /** For plain reads and writes, and for every transaction. */
  db: PrismaClient;
  /** For single statements on hot paths. */
  sql: pg.Pool;
}

/** Argument of the work in `inTransaction`: typed reads and writes, and `$queryRaw` for guarded updates, on one connection. */
export type Transaction = Prisma.TransactionClient;

/**
 * Creates a pool of at most 10 connections to a migrated database, with the limits of `connectionOptions`; each connection runs under the
 * role and team of its current user. Connects on first use. `queryMs`: client-side timeout of a query. `defaultScope`: for whom code runs that
 * does not call `withTeamScope` or `withSystemScope`; by default `nobody`, who sees no team's rows.
 */
export function connectDatabase(
  url: string,
  log: Logger,
  {
    queryMs,
    defaultScope = 'nobody',
    role = 'api',
  }: { queryMs?: number; defaultScope?: DatabaseScope; role?: DatabaseRole } = {},
): Database {
  const defaults = connectionOptions(url, 'graft');
  const settings = {
    ...defaults,
    // Sets the role before the first use of a connection. Appended to the URL's session settings, so it takes precedence.
    options: `${defaults.options}${defaultScope === 'owner' ? '' : ` -c role=${roleOf(role, 'team')}`}${writerOf(role)}`,
    query_timeout: queryMs ?? defaults.query_timeout,
    max: 10,
  };
  const sql = new FencedPool(settings, defaultScope, role);
  // Without listeners a broken connection would end the process: the first listener covers idle connections, the second one connections
  // in use, whose current or next query rejects.
  sql.on('error', (error) => log.warn({ err: error }, 'lost a Postgres connection'));
  sql.on('connect', (connection) => connection.on('error', () => {}));
  // After a query timed out, Prisma releases the transaction's connection while the server is still executing: the next user would wait
  // for it. A connection inside a transaction would revert a role switch at the end of that transaction.
  sql.on('release', (_, connection) => {
    const { readyForQuery } = connection as pg.PoolClient & { readyForQuery: boolean };
    if (!readyForQuery || connection.getTransactionStatus() !== 'I') void connection.end();
  });
  // Prisma's other formats include the source code around the failed call in the message.
  return { sql, db: new PrismaClient({ adapter: new PrismaPg(sql), errorFormat: 'minimal' }) };
}

/** Opens one connection as the role that owns the tables, for migrations. The caller closes it. */
export function connectOwner(url: string, log: Logger): Pick<Database, 'sql'> {
  const sql = new pg.Pool({ ...connectionOptions(url, 'graft'), max: 1 });
  sql.on('error', (error) => log.warn({ err: error }, 'lost a Postgres connection'));
  sql.on('connect', (connection) => connection.on('error', () => {}));
  return { sql };
}

/** Query config for `sql.query` with a timeout in milliseconds; a query that times out also ends its connection, which may hang. */
export function statementWithin(
  milliseconds: number,
  { text, values }: Pick<Prisma.Sql, 'text' | 'values'>,
): pg.QueryConfig & { query_timeout: number } {
  return { text, values, query_timeout: milliseconds };
}

/** Returns the time of Postgres's clock, the only one by which times from several processes are compared. */
export async function databaseTime({ sql }: Pick<Database, 'sql'>): Promise<Date> {
  const { rows } = await sql.query<{ now: Date }>('SELECT now()');
  return rows[0]!.now;
}

/** Casts a value for a JSON column. Prisma's type excludes interfaces and `unknown`, although any JSON value is accepted. */
export function json(value: object): Prisma.InputJsonValue {
  return value as Prisma.InputJsonValue;
}

/** Random secret of this process, by which Postgres recognises the rows of workers that the process wrote. */
const workerSecret = randomBytes(16).toString('hex');

function writerOf(role: DatabaseRole): string {
  return role === 'worker' ? ` -c graft.worker_secret=${workerSecret}` : '';
}

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
