import { insertAudit } from '../../audit/insert-audit.ts';
import type { Database } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { invalidState } from './invalid-state.ts';
import type { Job } from '../job.ts';
import { insertEvent } from '../records/job-event.ts';
import { lockJob } from './change-job.ts';

/**
 * A user pauses. queued, dispatched → paused at once, lease epoch + 1; a running job is asked (`pauseRequestedAt`),
 * and its worker checkpoints and pauses it. Null: no such job in this team. Throws GraftError `invalid_job_state`.
 */
export async function pauseJob(
  db: Database,
  teamId: string,
  id: string,
  by: { keyId: string | null },
): Promise<Job | null> {
  return await inTransaction(db, async (tx) => {
    const lock = await lockJob(tx, teamId, id);
    if (!lock) return null;
    if (lock.state !== 'queued' && lock.state !== 'dispatched' && lock.state !== 'running') {
      throw invalidState('pause', lock.state);
    }
    await insertAudit(tx, teamId, { keyId: by.keyId, action: 'job.pause', target: id });
    if (lock.state === 'running') {
      return await lock.update('pause_requested_at = coalesce(pause_requested_at, now())');
    }
    const job = await lock.update("state = 'paused', lease_epoch = lease_epoch + 1, lease_until = NULL");
    await insertEvent(tx, job, { message: 'Fine-tuning job paused' });
    return job;
  });
}
