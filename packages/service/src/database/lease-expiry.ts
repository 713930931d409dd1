/** Decides when a lease counts as lost: by the clock of Postgres, and only if its holder could have renewed it. */
import { Prisma } from '../generated/client.ts';
import type { Database } from './database.ts';

/** The row of `loop_turns` that holds the time until which no lease expires. */
const grace = 'grace';

/**
 * SQL: the lease has run out, and its holder could have renewed it: Postgres has been up for at least the lease's duration, and the
 * period of `extendLeases` is over.
 */
export function hasExpired(leaseSeconds: number, leaseUntil = Prisma.sql`lease_until`): Prisma.Sql {
  return Prisma.sql`(${leaseUntil} < now()
    AND now() > pg_postmaster_start_time() + make_interval(secs => ${leaseSeconds})
    AND NOT EXISTS (SELECT 1 FROM loop_turns WHERE name = ${grace} AND until > now()))`;
}

/** Stops leases from expiring for `seconds`: Postgres was unreachable for so long that holders may have been unable to renew. */
export async function extendLeases({ sql }: Pick<Database, 'sql'>, seconds: number): Promise<void> {
  await sql.query(
    `INSERT INTO loop_turns (name, holder, until) VALUES ($1, '', now() + make_interval(secs => $2))
     ON CONFLICT (name) DO UPDATE SET until = excluded.until`,
    [grace, seconds],
  );
}

/** Timeout of one lease renewal in milliseconds, short enough that a retry on another connection is still in time. */
export function renewalMs(leaseSeconds: number): number {
  return Math.max(2_500, leaseSeconds * 250);
}
