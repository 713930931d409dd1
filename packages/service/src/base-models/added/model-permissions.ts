/** Which teams see which base models, of the configuration and added. Without a word of the operator all see all. */
import { GraftError } from '@graft/peft-core/config';
import type { Actor } from '../../audit/actor.ts';
import { insertAudit } from '../../audit/insert-audit.ts';
import type { Database, Transaction } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';

export interface ModelAccess {
  /** Only the allowed teams see it. */
  limited: boolean;
  /** Ids of teams. */
  allowed: string[];
  /** Ids of teams that do not see it, limited or not. */
  denied: string[];
}

export type AccessChange = { allow: readonly string[] } | { deny: readonly string[] } | 'everyone';

/**
 * `allow`: from now on only allowed teams see the model, these and those allowed before. `deny`: these teams see it no more.
 * `everyone`: all see it, as before the first word. Jobs that are accepted go on. Throws GraftError `team_not_found`.
 */
export async function changeModelAccess(
  db: Database,
  modelId: string,
  change: AccessChange,
  by: Actor | null,
): Promise<ModelAccess> {
  return await inTransaction(db, async (tx) => {
    await writeAccess(tx, modelId, change);
    const isForAll = change === 'everyone';
    await insertAudit(tx, null, by, {
      action: isForAll ? 'base_model.open' : 'allow' in change ? 'base_model.allow' : 'base_model.deny',
      target: modelId,
      ...(isForAll ? {} : { detail: { teams: 'allow' in change ? change.allow : change.deny } }),
    });
    return (await readAccess(tx, [modelId])).get(modelId)!;
  });
}

/** The same in a transaction of others, who write the audit row. */
export async function writeAccess(tx: Transaction, modelId: string, change: AccessChange): Promise<void> {
  if (change === 'everyone') {
    await tx.baseModelRule.deleteMany({ where: { modelId } });
    await tx.limitedBaseModel.deleteMany({ where: { modelId } });
    return;
  }
  const allowed = 'allow' in change;
  const teamIds = [...new Set(allowed ? change.allow : change.deny)];
  const found = await tx.team.findMany({
    where: { id: { in: teamIds }, deletedAt: null },
    select: { id: true },
  });
  const known = new Set(found.map(({ id }) => id));
  const unknown = teamIds.find((id) => !known.has(id));
  if (unknown !== undefined)
    throw new GraftError('team_not_found', `No such team: ${unknown}`, { param: 'teams' });
  if (allowed) await tx.limitedBaseModel.createMany({ data: [{ modelId }], skipDuplicates: true });
  await tx.baseModelRule.deleteMany({ where: { modelId, teamId: { in: teamIds } } });
  await tx.baseModelRule.createMany({ data: teamIds.map((teamId) => ({ modelId, teamId, allowed })) });
}

/** By the id of the model. */
export async function readAccess(
  db: Pick<Transaction, 'limitedBaseModel' | 'baseModelRule'>,
  modelIds: string[],
): Promise<Map<string, ModelAccess>> {
  const where = { modelId: { in: modelIds } };
  const access = new Map<string, ModelAccess>(
    modelIds.map((id) => [id, { limited: false, allowed: [], denied: [] }]),
  );
  for (const { modelId } of await db.limitedBaseModel.findMany({ where }))
    access.get(modelId)!.limited = true;
  for (const rule of await db.baseModelRule.findMany({
    where,
    orderBy: [{ createdAt: 'asc' }, { teamId: 'asc' }],
  })) {
    access.get(rule.modelId)![rule.allowed ? 'allowed' : 'denied'].push(rule.teamId);
  }
  return access;
}
