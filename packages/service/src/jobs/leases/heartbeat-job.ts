/** Queries that a worker runs for its running job every second: single statements, without Prisma for speed. */
import { type Database, statementWithin } from '../../database/database.ts';
import { renewalMs } from '../../database/lease-expiry.ts';
import { Prisma } from '../../generated/client.ts';
import type { Lease } from '../job.ts';
import { holds } from '../transitions/change-job.ts';

/** Requests to a running job, by a user or by the operator's preemption rule. */
interface JobFlags {
  cancelRequested: boolean;
  pauseRequested: boolean;
  preemptRequested: boolean;
}

const flags = Prisma.sql`cancel_requested_at IS NOT NULL AS "cancelRequested", pause_requested_at IS NOT NULL AS "pauseRequested",
  preempt_requested_at IS NOT NULL AS "preemptRequested"`;

/** Extends the lease. Returns null when fenced: kill the trainer and write nothing. */
export async function heartbeatJob(
  { sql }: Database,
  lease: Lease,
  options: { leaseSeconds: number },
): Promise<JobFlags | null> {
  const { rows } = await sql.query<JobFlags>(
    statementWithin(
      renewalMs(options.leaseSeconds),
      Prisma.sql`UPDATE jobs SET lease_until = now() + make_interval(secs => ${options.leaseSeconds})
       WHERE ${holds(lease, 'running')} RETURNING ${flags}`,
    ),
  );
  return rows[0] ?? null;
}

/** Reads the flags, cheap enough to poll between heartbeats: a running job must stop within two seconds. Null when fenced. */
export async function readJobFlags({ sql }: Database, lease: Lease): Promise<JobFlags | null> {
  const { rows } = await sql.query<JobFlags>(
    Prisma.sql`SELECT ${flags} FROM jobs WHERE ${holds(lease, 'running')}`,
  );
  return rows[0] ?? null;
}
