import { insertAudit } from '../../audit/insert-audit.ts';
import type { Database } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { insertOutbox } from '../../outbox/insert-outbox.ts';
import { invalidState } from './invalid-state.ts';
import { isTerminal, type Job } from '../job.ts';
import { insertEvent } from '../records/job-event.ts';
import { lockJob } from './change-job.ts';

/**
 * A user cancels. validating, queued, dispatched, paused → cancelled at once, lease epoch + 1; a running job is
 * asked (`cancelRequestedAt`), and its worker stops it within two seconds. Asking twice is the same as once.
 * Null: no such job in this team. Throws GraftError `invalid_job_state` for a finished job.
 */
export async function cancelJob(
  db: Database,
  teamId: string,
  id: string,
  by: { keyId: string | null },
): Promise<Job | null> {
  return await inTransaction(db, async (tx) => {
    const lock = await lockJob(tx, teamId, id);
    if (!lock) return null;
    if (isTerminal(lock.state)) throw invalidState('cancel', lock.state);
    await insertAudit(tx, teamId, { keyId: by.keyId, action: 'job.cancel', target: id });
    if (lock.state === 'running') {
      return await lock.update('cancel_requested_at = coalesce(cancel_requested_at, now())');
    }
    const job = await lock.update(
      "state = 'cancelled', lease_epoch = lease_epoch + 1, lease_until = NULL, finished_at = now()",
    );
    await insertEvent(tx, job, { message: 'Fine-tuning job cancelled' });
    await insertOutbox(tx, teamId, 'fine_tuning.job.cancelled', { id });
    return job;
  });
}
