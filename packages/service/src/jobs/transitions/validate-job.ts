import type { ResolvedTraining } from '@graft/peft-core/config';
import type { Database } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { Prisma } from '../../generated/client.ts';
import type { Job, JobError, Lease } from '../job.ts';
import { insertEvent } from '../records/job-event.ts';
import { changeJob, holds } from './change-job.ts';
import { endJob } from './end-job.ts';

/** Seconds one process may take to validate a job's data before another may try. */
const validationSeconds = 120;

/**
 * Takes a job in state validating for this process: the one named, or the oldest that nobody works on (its process
 * died). Null: there is none. Answer with `finishValidation(db, leaseOf(job), …)`.
 */
export async function claimValidation(db: Database, id?: string): Promise<Job | null> {
  const named = id === undefined ? Prisma.empty : Prisma.sql`AND id = ${id}`;
  return await inTransaction(db, async (tx) => {
    return await changeJob(
      tx,
      Prisma.sql`state = 'validating' AND id = (
        SELECT id FROM jobs
        WHERE state = 'validating' ${named} AND (lease_until IS NULL OR lease_until < now())
        ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED)`,
      Prisma.sql`lease_epoch = lease_epoch + 1, lease_until = now() + make_interval(secs => ${validationSeconds})`,
    );
  });
}

export type ValidationOutcome =
  | {
      ok: true;
      /** Every number fixed. */
      resolvedTraining: ResolvedTraining;
    }
  | { ok: false; error: JobError };

/** validating → queued, or → failed with the reason. Null: fenced (cancelled meanwhile, or another took over). */
export async function finishValidation(
  db: Database,
  lease: Lease,
  outcome: ValidationOutcome,
): Promise<Job | null> {
  return await inTransaction(db, async (tx) => {
    const guard = holds(lease, 'validating');
    if (!outcome.ok) return await endJob(tx, guard, { state: 'failed', error: outcome.error });
    const job = await changeJob(
      tx,
      guard,
      Prisma.sql`state = 'queued', resolved_training = ${JSON.stringify(outcome.resolvedTraining)}::jsonb,
        lease_until = NULL, run_after = now()`,
    );
    if (job) await insertEvent(tx, job, { message: 'Files validated, moving job to queued state' });
    return job;
  });
}
