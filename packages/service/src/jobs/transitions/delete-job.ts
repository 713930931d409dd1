import { GraftError } from '@graft/peft-core/config';
import { deleteVersions } from '../../adapters/delete-adapters.ts';
import type { Actor } from '../../audit/actor.ts';
import { insertAudit } from '../../audit/insert-audit.ts';
import { type Database, deleteInBatches } from '../../database/database.ts';
import { inRowTransaction } from '../../database/in-transaction.ts';
import { Prisma } from '../../generated/client.ts';
import type { CheckpointStore } from '../../storage/checkpoint-store.ts';
import { isTerminal, wireStatus } from '../job.ts';
import { lockJob } from './change-job.ts';

/**
 * Deletes an ended job with its request, events, metrics, attempts, trials and checkpoints. Keeps the adapter that it created, without
 * its job, unless `adapter` deletes it too, as `deleteVersions` does. Keeps audit rows and usage entries, which hold only counts and
 * ids. If interrupted, some rows are removed, and a repeated call completes the deletion. False if the team has no such job. Throws
 * GraftError `job_not_ended`, and with `adapter` what `deleteVersions` throws.
 */
export async function deleteJob(
  services: Database & { checkpoints: CheckpointStore },
  teamId: string,
  id: string,
  { adapter = false }: { adapter?: boolean },
  by: Actor,
): Promise<boolean> {
  const { db, checkpoints } = services;
  const found = await db.job.findFirst({
    where: { teamId, id },
    select: { state: true, adapterVersion: { select: { adapterId: true, number: true } } },
  });
  if (!found) return false;
  if (!isTerminal(found.state as never)) throw notEnded(id, found.state);
  if (adapter && found.adapterVersion) await deleteVersions(services, teamId, found.adapterVersion, by);
  // There may be millions of rows. None are added, because the job has ended.
  for (const table of ['job_metrics', 'job_events'])
    await deleteInBatches(services, table, 'team_id = $1 AND job_id = $2', [teamId, id]);
  const deleted = await inRowTransaction(services, `job ${teamId} ${id}`, async (tx) => {
    const job = await lockJob(tx, Prisma.sql`team_id = ${teamId} AND id = ${id}`, { noWait: true });
    if (!job) return false;
    if (!isTerminal(job.state)) throw notEnded(id, job.state);
    // Without this, the version would be deleted with its job.
    await tx.adapterVersion.updateMany({ where: { teamId, jobId: id }, data: { jobId: null } });
    await tx.idempotencyKey.deleteMany({ where: { teamId, jobId: id } });
    await tx.job.deleteMany({ where: { teamId, id } });
    const detail = { state: job.state, adapter: adapter ? 'deleted' : 'kept' };
    await insertAudit(tx, teamId, by, { action: 'job.delete', target: id, detail });
    return true;
  });
  // The garbage collector removes what cannot be removed now, and copies on other machines.
  if (deleted) await checkpoints.remove(`checkpoints/${id}`).catch(() => {});
  return deleted;
}

function notEnded(id: string, state: string): GraftError {
  return new GraftError(
    'job_not_ended',
    `${id} is ${wireStatus(state as never)}: cancel it, and delete it once it is over.`,
    { param: null },
  );
}
