import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import type { Logger } from 'pino';
import { PrismaClient } from '../generated/client.ts';

/** One pool of at most 10 connections, for raw SQL and for Prisma. Connects when first used. */
export function connectDatabase(url: string, log: Logger): { sql: pg.Pool; db: PrismaClient } {
  const sql = new pg.Pool({
    connectionString: url,
    max: 10,
    keepAlive: true,
    connectionTimeoutMillis: 5_000,
    // A server that hangs must not hang a heartbeat for longer than its lease.
    query_timeout: 30_000,
    application_name: 'graft',
  });
  // Without listeners a connection that breaks would end the process: here an idle one, below one that is in use, whose
  // query or next query rejects.
  sql.on('error', (error) => log.warn({ err: error }, 'lost a Postgres connection'));
  sql.on('connect', (connection) => connection.on('error', () => {}));
  return { sql, db: new PrismaClient({ adapter: new PrismaPg(sql) }) };
}
