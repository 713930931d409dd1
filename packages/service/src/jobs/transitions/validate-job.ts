import type { ResolvedTraining } from '@graft/peft-core/config';
import type { Database } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { insertOutbox } from '../../outbox/insert-outbox.ts';
import { type Job, type JobError, jobColumns, type Lease } from '../job.ts';
import { insertEvent } from '../records/job-event.ts';

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
    const { rows } = await tx.query<Job>(
      `UPDATE jobs SET
         state = $3, resolved_training = $4, error = $5, lease_until = NULL, run_after = now(),
         finished_at = CASE WHEN $3 = 'failed' THEN now() END
       WHERE id = $1 AND lease_epoch = $2 AND state = 'validating'
       RETURNING ${jobColumns}`,
      [
        lease.id,
        lease.epoch,
        outcome.ok ? 'queued' : 'failed',
        outcome.ok ? JSON.stringify(outcome.resolvedTraining) : null,
        outcome.ok ? null : JSON.stringify(outcome.error),
      ],
    );
    const job = rows[0];
    if (!job) return null;
    if (outcome.ok) {
      await insertEvent(tx, job, { message: 'Files validated, moving job to queued state' });
    } else {
      await insertEvent(tx, job, { level: 'error', message: outcome.error.message });
      await insertOutbox(tx, job.teamId, 'fine_tuning.job.failed', { id: job.id });
    }
    return job;
  });
}
