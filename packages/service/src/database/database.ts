import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import type { Logger } from 'pino';
import { type Prisma, PrismaClient } from '../generated/client.ts';

/** The two ways to Postgres, over one pool of connections: docs/decisions/0008-prisma-and-sql.md says which is for what. */
export interface Database {
  /** Plain reads and writes, and every transaction. */
  db: PrismaClient;
  /** Single statements on hot paths, and locks that live as long as a connection. */
  sql: pg.Pool;
}

/** What `inTransaction` hands out: typed reads and writes, and `$queryRaw` for guarded updates, on one connection. */
export type Transaction = Prisma.TransactionClient;

/** One pool of at most 10 connections. Connects when first used. `queryMs`: milliseconds that a query may take. */
export function connectDatabase(url: string, log: Logger, { queryMs = 30_000 } = {}): Database {
  const sql = new pg.Pool({
    connectionString: url,
    max: 10,
    keepAlive: true,
    connectionTimeoutMillis: 5_000,
    // A server that hangs must not hang a heartbeat for longer than its lease.
    query_timeout: queryMs,
    application_name: 'graft',
    // Prisma's adapter takes every timestamptz for UTC and writes it without a zone, whatever zone the server is set to.
    onConnect: async (connection) => void (await connection.query("SET timezone = 'UTC'")),
  });
  // Without listeners a connection that breaks would end the process: here an idle one, below one that is in use, whose
  // query or next query rejects.
  sql.on('error', (error) => log.warn({ err: error }, 'lost a Postgres connection'));
  sql.on('connect', (connection) => connection.on('error', () => {}));
  // After a query that timed out, Prisma hands its transaction's connection back while the server is still at work on
  // it: the next caller would wait behind that.
  sql.on('release', (_, connection) => {
    const { readyForQuery } = connection as pg.PoolClient & { readyForQuery: boolean };
    if (!readyForQuery) void connection.end();
  });
  // Its other formats quote the source code around a failed call in the error's message.
  return { sql, db: new PrismaClient({ adapter: new PrismaPg(sql), errorFormat: 'minimal' }) };
}

/** Rejects when Postgres does not answer. */
export async function pingDatabase({ sql }: Pick<Database, 'sql'>): Promise<void> {
  await sql.query('SELECT 1');
}

/** A value for a JSON column. Prisma's type of one excludes interfaces and `unknown`; its value is written as JSON all the same. */
export function json(value: object): Prisma.InputJsonValue {
  return value as Prisma.InputJsonValue;
}
