import { randomBytes } from 'node:crypto';
import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import type { Logger } from 'pino';
import { type Prisma, PrismaClient } from '../generated/client.ts';
import { connectionOptions } from './connection-options.ts';
import { type DatabaseRole, FencedPool, roleOf } from './fenced-pool.ts';
import type { Behalf } from './on-behalf-of.ts';

/** The two ways to Postgres, over one pool of connections: docs/decisions/0008-prisma-and-sql.md says which is for what. */
export interface Database {
  /** Plain reads and writes, and every transaction. */
  db: PrismaClient;
  /** Single statements on hot paths. */
  sql: pg.Pool;
}

/** What `inTransaction` hands out: typed reads and writes, and `$queryRaw` for guarded updates, on one connection. */
export type Transaction = Prisma.TransactionClient;

/**
 * One pool of at most 10 connections, each with the limits of `connectionOptions` and under the role and team that its user runs
 * for. Connects when first used, to a migrated database. `queryMs`: milliseconds until a query is given up whose server hangs.
 * `unsaid`: for whom runs what says nothing; default: nobody, who sees nothing of any team.
 */
export function connectDatabase(
  url: string,
  log: Logger,
  {
    queryMs,
    unsaid = 'nobody',
    role = 'api',
  }: { queryMs?: number; unsaid?: Behalf; role?: DatabaseRole } = {},
): Database {
  const defaults = connectionOptions(url, 'graft');
  const settings = {
    ...defaults,
    // Before it is first handed out, too. What the URL says of the session comes before, so that this wins.
    options: `${defaults.options}${unsaid === 'owner' ? '' : ` -c role=${roleOf(role, 'team')}`}${writerOf(role)}`,
    query_timeout: queryMs ?? defaults.query_timeout,
    max: 10,
  };
  const sql = new FencedPool(settings, unsaid, role);
  // Without listeners a connection that breaks would end the process: here an idle one, below one that is in use, whose
  // query or next query rejects.
  sql.on('error', (error) => log.warn({ err: error }, 'lost a Postgres connection'));
  sql.on('connect', (connection) => connection.on('error', () => {}));
  // After a query that timed out, Prisma hands its transaction's connection back while the server is still at work on
  // it: the next caller would wait behind that. One within a transaction would take its switch back at the end of that.
  sql.on('release', (_, connection) => {
    const { readyForQuery } = connection as pg.PoolClient & { readyForQuery: boolean };
    if (!readyForQuery || connection.getTransactionStatus() !== 'I') void connection.end();
  });
  // Its other formats quote the source code around a failed call in the error's message.
  return { sql, db: new PrismaClient({ adapter: new PrismaPg(sql), errorFormat: 'minimal' }) };
}

/** One connection as the role that owns the tables, for migrations. Whoever opens it ends it. */
export function connectOwner(url: string, log: Logger): Pick<Database, 'sql'> {
  const sql = new pg.Pool({ ...connectionOptions(url, 'graft'), max: 1 });
  sql.on('error', (error) => log.warn({ err: error }, 'lost a Postgres connection'));
  sql.on('connect', (connection) => connection.on('error', () => {}));
  return { sql };
}

/** For `sql.query`: a statement that is given up after so many milliseconds, and its connection, which may hang, with it. */
export function statementWithin(
  milliseconds: number,
  { text, values }: Pick<Prisma.Sql, 'text' | 'values'>,
): pg.QueryConfig & { query_timeout: number } {
  return { text, values, query_timeout: milliseconds };
}

/** Postgres's clock: the only one that times of several processes are compared by. */
export async function databaseTime({ sql }: Pick<Database, 'sql'>): Promise<Date> {
  const { rows } = await sql.query<{ now: Date }>('SELECT now()');
  return rows[0]!.now;
}

/** A value for a JSON column. Prisma's type of one excludes interfaces and `unknown`; its value is written as JSON all the same. */
export function json(value: object): Prisma.InputJsonValue {
  return value as Prisma.InputJsonValue;
}

/** Made once for a worker's process: by it Postgres knows which rows of workers are its own. */
const workerSecret = randomBytes(16).toString('hex');

function writerOf(role: DatabaseRole): string {
  return role === 'worker' ? ` -c graft.worker_secret=${workerSecret}` : '';
}
