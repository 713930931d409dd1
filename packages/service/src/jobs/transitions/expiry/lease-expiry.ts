/** When a lease counts as lost: by Postgres's clock, and not while its holder could not have renewed it. */
import type { Database } from '../../../database/database.ts';
import { Prisma } from '../../../generated/client.ts';

/** The row of `loop_turns` that tells until when nothing expires. */
const grace = 'grace';

/**
 * SQL: the lease has run out, and its holder could have renewed it: Postgres has been up for a whole lease, and it is a
 * lease ago that `giveGrace` was called.
 */
export function hasExpired(leaseSeconds: number, leaseUntil = Prisma.sql`lease_until`): Prisma.Sql {
  return Prisma.sql`(${leaseUntil} < now()
    AND now() > pg_postmaster_start_time() + make_interval(secs => ${leaseSeconds})
    AND NOT EXISTS (SELECT 1 FROM loop_turns WHERE name = ${grace} AND until > now()))`;
}

/** From now on no lease expires for `seconds`: nobody had heard of Postgres for so long that holders may have lost theirs. */
export async function giveGrace({ sql }: Pick<Database, 'sql'>, seconds: number): Promise<void> {
  await sql.query(
    `INSERT INTO loop_turns (name, holder, until) VALUES ($1, '', now() + make_interval(secs => $2))
     ON CONFLICT (name) DO UPDATE SET until = excluded.until`,
    [grace, seconds],
  );
}
