import { insertAudit } from '../../audit/insert-audit.ts';
import type { Database } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { invalidState } from './invalid-state.ts';
import type { Job } from '../job.ts';
import { insertEvent } from '../records/job-event.ts';
import { lockJob } from './change-job.ts';

/**
 * A user resumes. paused → queued; a running job that was asked to pause but has not yet goes on running.
 * Null: no such job in this team. Throws GraftError `invalid_job_state`.
 */
export async function resumeJob(
  db: Database,
  teamId: string,
  id: string,
  by: { keyId: string | null },
): Promise<Job | null> {
  return await inTransaction(db, async (tx) => {
    const lock = await lockJob(tx, teamId, id);
    if (!lock) return null;
    const pausing = lock.state === 'running' && lock.pauseRequested;
    if (lock.state !== 'paused' && !pausing) throw invalidState('resume', lock.state);
    await insertAudit(tx, teamId, { keyId: by.keyId, action: 'job.resume', target: id });
    if (pausing) return await lock.update('pause_requested_at = NULL');
    const job = await lock.update("state = 'queued', pause_requested_at = NULL, run_after = now()");
    await insertEvent(tx, job, { message: 'Fine-tuning job resumed, moving job to queued state' });
    return job;
  });
}
