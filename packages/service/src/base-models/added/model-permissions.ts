/** Which teams see which base models, configured or added. By default all teams see all models. */
import { GraftError } from '@graft/peft-core/config';
import type { Actor } from '../../audit/actor.ts';
import { insertAudit } from '../../audit/insert-audit.ts';
import type { Database, Transaction } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';

export interface ModelAccess {
  /** True where only the allowed teams see the model. */
  limited: boolean;
  /** Team ids. */
  allowed: string[];
  /** Ids of teams that never see the model, limited or not. */
  denied: string[];
}

export type AccessChange = { allow: readonly string[] } | { deny: readonly string[] } | 'everyone';

/**
 * Changes which teams see a model. `allow`: only allowed teams see it from now on; these teams are added to them. `deny`: these teams no
 * longer see it. `everyone`: removes all rules, so all teams see it. Accepted jobs continue. Throws GraftError `team_not_found`.
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

/** As `changeModelAccess`, in the caller's transaction; the caller writes the audit row. */
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

/** Reads who sees the models, by model id. */
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
