import type { Transaction } from '../../database/database.ts';
import type { Job } from '../job.ts';

/** Schedules sending to trackers for a job that starts to run or ends, in the transaction of that change. */
export async function wakeIntegrations(
  tx: Transaction,
  { teamId, id, integrations }: Pick<Job, 'teamId' | 'id' | 'integrations'>,
): Promise<void> {
  if (integrations.length === 0) return;
  await tx.$executeRaw`
    UPDATE job_integrations SET next_attempt_at = now()
    WHERE team_id = ${teamId} AND job_id = ${id} AND status = 'active' AND next_attempt_at IS NULL`;
}
