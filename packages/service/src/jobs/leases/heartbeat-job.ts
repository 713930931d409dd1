/** What a worker asks of its running job every second: single statements, past Prisma. */
import { type Database, statementWithin } from '../../database/database.ts';
import type { Lease } from '../job.ts';

/** What a user, or the operator's rule of preemption, has asked of a running job. */
interface JobFlags {
  cancelRequested: boolean;
  pauseRequested: boolean;
  preemptRequested: boolean;
}

const flags = `cancel_requested_at IS NOT NULL AS "cancelRequested", pause_requested_at IS NOT NULL AS "pauseRequested",
  preempt_requested_at IS NOT NULL AS "preemptRequested"`;

/** Milliseconds until a renewal is given up, so that another, on another connection, still comes in time. */
export function renewalMs(leaseSeconds: number): number {
  return Math.max(2_500, leaseSeconds * 250);
}

/** Extends the lease. Null: fenced; kill the trainer and write nothing. */
export async function heartbeatJob(
  { sql }: Database,
  lease: Lease,
  options: { leaseSeconds: number },
): Promise<JobFlags | null> {
  const { rows } = await sql.query<JobFlags>(
    statementWithin(
      renewalMs(options.leaseSeconds),
      `UPDATE jobs SET lease_until = now() + make_interval(secs => $3)
       WHERE id = $1 AND lease_epoch = $2 AND state = 'running' RETURNING ${flags}`,
      [lease.id, lease.epoch, options.leaseSeconds],
    ),
  );
  return rows[0] ?? null;
}

/** A read, cheap enough to poll between heartbeats: a running job must stop within two seconds. Null: fenced. */
export async function readJobFlags({ sql }: Database, lease: Lease): Promise<JobFlags | null> {
  const { rows } = await sql.query<JobFlags>(
    `SELECT ${flags} FROM jobs WHERE id = $1 AND lease_epoch = $2 AND state = 'running'`,
    [lease.id, lease.epoch],
  );
  return rows[0] ?? null;
}
