import { GraftError } from '@graft/peft-core/config';
import { deleteVersions } from '../../adapters/delete-adapters.ts';
import type { Actor } from '../../audit/actor.ts';
import { insertAudit } from '../../audit/insert-audit.ts';
import type { Database } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { waitForRow } from '../../database/wait-for-row.ts';
import { Prisma } from '../../generated/client.ts';
import type { CheckpointStore } from '../../storage/checkpoint-store.ts';
import { isTerminal, wireStatus } from '../job.ts';
import { lockJob } from './change-job.ts';

/** Rows that one statement removes: some hundred milliseconds. */
const batch = 5_000;

/**
 * Deletes a job that is over, with its events, metrics, attempts, trials, checkpoints and what was requested. The adapter that it
 * made stays, without its job, or is deleted too: `adapter`, as `deleteVersions` does it. Usage entries stay, which hold counts and ids, and
 * audit rows. Killed in the middle it has removed some rows, and is done by asking again. False: no such job in this team. Throws
 * GraftError `job_not_ended`, and with `adapter` what `deleteVersions` throws.
 */
export async function deleteJob(
  services: Database & { checkpoints: CheckpointStore },
  teamId: string,
  id: string,
  { adapter = false }: { adapter?: boolean },
  by: Actor,
): Promise<boolean> {
  const { db, sql, checkpoints } = services;
  const found = await db.job.findFirst({
    where: { teamId, id },
    select: { state: true, adapterVersion: { select: { adapterId: true, number: true } } },
  });
  if (!found) return false;
  if (!isTerminal(found.state as never)) throw notEnded(id, found.state);
  if (adapter && found.adapterVersion) await deleteVersions(services, teamId, found.adapterVersion, by);
  // They may be millions. No more come: the job is over for good.
  for (const table of ['job_metrics', 'job_events']) {
    for (let count = batch; count === batch; ) {
      const { rowCount } = await sql.query(
        `DELETE FROM ${table} WHERE ctid = ANY(ARRAY(
           SELECT ctid FROM ${table} WHERE team_id = $1 AND job_id = $2 LIMIT ${batch}))`,
        [teamId, id],
      );
      count = rowCount ?? 0;
    }
  }
  const deleted = await waitForRow(`job ${teamId} ${id}`, async () =>
    inTransaction(services, async (tx) => {
      const job = await lockJob(tx, Prisma.sql`team_id = ${teamId} AND id = ${id}`, { noWait: true });
      if (!job) return false;
      if (!isTerminal(job.state)) throw notEnded(id, job.state);
      // Else the version would go with its job.
      await tx.adapterVersion.updateMany({ where: { teamId, jobId: id }, data: { jobId: null } });
      await tx.idempotencyKey.deleteMany({ where: { teamId, jobId: id } });
      await tx.job.deleteMany({ where: { teamId, id } });
      const detail = { state: job.state, adapter: adapter ? 'deleted' : 'kept' };
      await insertAudit(tx, teamId, by, { action: 'job.delete', target: id, detail });
      return true;
    }),
  );
  // What cannot be removed now is collected, as is what other machines have.
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
