import type { Actor } from '../audit/actor.ts';
import { graftItself } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database, Transaction } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { listRows, type Page, type PageOptions } from '../database/read-page.ts';
import type { DeployLeftover, DeployTarget as TargetRow } from '../generated/client.ts';

export type { DeployLeftover } from '../generated/client.ts';

/** Maximum number of a team's rows; the oldest are dropped. A team has at most 60 targets a day, with deleted ones. */
const maxLeftovers = 200;
const open = { dismissedAt: null } as const;

/** Records for the operator that a runtime may still have the adapters of a deleted target. */
export async function recordLeftover(tx: Transaction, target: TargetRow): Promise<void> {
  const { id, teamId, name, runtime, url, servedModel, modelName, failingSince, deletedAt } = target;
  const team = await tx.team.findFirst({ where: { id: teamId }, select: { name: true } });
  const data = {
    teamName: team?.name.replace(` deleted ${teamId}`, '') ?? teamId,
    modelName: servedModel ?? modelName,
    unreachableSince: failingSince ?? deletedAt ?? new Date(),
  };
  await tx.deployLeftover.create({ data: { id, teamId, name, runtime, url, ...data } });
  const oldest = await tx.deployLeftover.findMany({
    where: { teamId },
    orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
    skip: maxLeftovers,
    select: { id: true },
  });
  await tx.deployLeftover.deleteMany({ where: { teamId, id: { in: oldest.map((row) => row.id) } } });
  const detail = { name, runtime, host: new URL(url).host, model: data.modelName };
  await insertAudit(tx, teamId, graftItself, { action: 'deploy_leftover.record', target: id, detail });
}

/** Lists the leftovers of all teams that the operator has not dismissed, newest first. Throws GraftError `invalid_cursor`. */
export async function listLeftovers({ db }: Database, options: PageOptions): Promise<Page<DeployLeftover>> {
  return await listRows(db.deployLeftover, options, { where: open }, (row) => row);
}

/**
 * Records that a runtime has the adapters of a target no longer, as the operator says: their files are removed within an hour. Null: there is
 * no such leftover.
 */
export async function dismissLeftover(
  database: Database,
  id: string,
  by: Actor,
): Promise<DeployLeftover | null> {
  return await inTransaction(database, async (tx) => {
    const row = await tx.deployLeftover.findFirst({ where: { id, ...open } });
    if (!row) return null;
    const dismissedAt = new Date();
    const { count } = await tx.deployLeftover.updateMany({ where: { id, ...open }, data: { dismissedAt } });
    if (count === 0) return null;
    const { teamId, name } = row;
    await insertAudit(tx, teamId, by, { action: 'deploy_leftover.dismiss', target: id, detail: { name } });
    return { ...row, dismissedAt };
  });
}
