/** Base models that the operator adds at run time. */
import { GraftError } from '@graft/peft-core/config';
import type { Actor } from '../../audit/actor.ts';
import { insertAudit } from '../../audit/insert-audit.ts';
import type { Database } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { newId } from '../../ids.ts';
import type { BaseModelCatalogue } from '../catalogue.ts';
import { type AddedModel, addedModelOf } from './added-model.ts';
import { writeAccess } from './model-permissions.ts';
import { isAllowedSource, type ModelSourceInput, parseModelSource } from './model-source.ts';

/** Maximum number of added models, more than any installation needs. */
const maxModels = 1_000;

/**
 * Adds a model, which is then fetched in the background. `teams`: only these teams see it; by default all do. `sources` lists the sources
 * that requests may name; null allows any, for an operator on the service's machine. Throws GraftError `base_model_exists`,
 * `invalid_value`, `base_model_source_not_allowed`, `too_many_base_models`, `team_not_found`.
 */
export async function addBaseModel(
  services: Database & { baseModels: Pick<BaseModelCatalogue, 'isConfigured'> },
  input: ModelSourceInput & { id: string; teams?: readonly string[] | undefined },
  sources: readonly string[] | null,
  by: Actor | null,
): Promise<AddedModel> {
  const { id: modelId, teams } = input;
  if (!/^[A-Za-z0-9][A-Za-z0-9._/-]{0,95}$/.test(modelId))
    throw new GraftError('invalid_value', 'id has 1 to 96 letters, digits and inner ._/-', { param: 'id' });
  const source = parseModelSource(input);
  if (sources !== null && !isAllowedSource(source, sources)) {
    throw new GraftError(
      'base_model_source_not_allowed',
      `This server takes no base model from ${source.location} by request: name it in GRAFT_BASE_MODEL_SOURCES, or use \`graft admin base-models add-unlisted\` on the service's machine.`,
      { param: source.source },
    );
  }
  if (services.baseModels.isConfigured(modelId)) {
    throw new GraftError(
      'base_model_exists',
      `There is a base model ${modelId} already, by GRAFT_BASE_MODELS, GRAFT_HUB_ALLOW or built in: choose another id.`,
      { param: 'id' },
    );
  }
  return await inTransaction(services, async (tx) => {
    if ((await tx.addedBaseModel.count()) >= maxModels) {
      throw new GraftError('too_many_base_models', `There are ${maxModels} added base models: remove one.`, {
        param: null,
      });
    }
    const [row] = await tx.addedBaseModel.createManyAndReturn({
      data: { id: newId('baseModel'), modelId, ...source, addedBy: by?.personId ?? by?.keyId ?? null },
      skipDuplicates: true,
    });
    if (!row) {
      throw new GraftError(
        'base_model_exists',
        `There is an added base model ${modelId} already: remove it first, or choose another id.`,
        { param: 'id' },
      );
    }
    if (teams !== undefined) await writeAccess(tx, modelId, { allow: teams });
    const detail = { ...source, ...(teams === undefined ? {} : { teams }) };
    await insertAudit(tx, null, by, { action: 'base_model.add', target: modelId, detail });
    return addedModelOf(row);
  });
}

/** Lists all added models, newest first: at most a thousand. */
export async function listAddedModels({ db }: Pick<Database, 'db'>): Promise<AddedModel[]> {
  const rows = await db.addedBaseModel.findMany({ orderBy: [{ createdAt: 'desc' }, { id: 'desc' }] });
  return rows.map(addedModelOf);
}

export async function findAddedModel(
  { db }: Pick<Database, 'db'>,
  modelId: string,
): Promise<AddedModel | null> {
  const row = await db.addedBaseModel.findFirst({ where: { modelId } });
  return row && addedModelOf(row);
}

/** Hides a model from all teams or shows it again. Accepted jobs and existing adapters keep working. Null: no such added model. */
export async function hideBaseModel(
  db: Database,
  modelId: string,
  hidden: boolean,
  by: Actor | null,
): Promise<AddedModel | null> {
  return await inTransaction(db, async (tx) => {
    const count = hidden
      ? await tx.$executeRaw`
          UPDATE added_base_models SET hidden_at = coalesce(hidden_at, now()) WHERE model_id = ${modelId}`
      : await tx.$executeRaw`UPDATE added_base_models SET hidden_at = NULL WHERE model_id = ${modelId}`;
    if (count === 0) return null;
    const action = hidden ? 'base_model.hide' : 'base_model.unhide';
    await insertAudit(tx, null, by, { action, target: modelId });
    return addedModelOf(await tx.addedBaseModel.findFirstOrThrow({ where: { modelId } }));
  });
}

/**
 * Queues a failed model for another fetch, which reuses the files that an earlier attempt left. Resolves the revision again, because a new
 * commit may have fixed the fault. Of two concurrent calls only one succeeds. Null: no such added model. Throws GraftError
 * `base_model_not_failed`.
 */
export async function retryBaseModel(
  db: Database,
  modelId: string,
  by: Actor | null,
): Promise<AddedModel | null> {
  return await inTransaction(db, async (tx) => {
    const { count } = await tx.addedBaseModel.updateMany({
      where: { modelId, state: 'failed' },
      // The error stays until an attempt succeeds; the pause between attempts is reset.
      data: {
        state: 'queued',
        attempts: 0,
        commit: null,
        notBefore: new Date(0),
        startedAt: null,
        finishedAt: null,
      },
    });
    const row = await tx.addedBaseModel.findFirst({ where: { modelId } });
    if (!row) return null;
    if (count === 0) {
      throw new GraftError(
        'base_model_not_failed',
        `${modelId} is ${row.state}: only a base model that failed is fetched again.`,
        { param: 'base_model_id' },
      );
    }
    await insertAudit(tx, null, by, { action: 'base_model.retry', target: modelId });
    return addedModelOf(row);
  });
}

/**
 * Removes a model with its permissions and the record of its weights, and ends a running fetch; each machine removes its copy within the
 * hour. Returns false if no such model was added. Throws GraftError `base_model_in_use` with the number of jobs and adapter versions that
 * need it.
 */
export async function removeBaseModel(db: Database, modelId: string, by: Actor | null): Promise<boolean> {
  return await inTransaction(db, async (tx) => {
    // The lock keeps a fetch from ending meanwhile, and two callers from removing the model.
    const rows = await tx.$queryRaw<unknown[]>`
      SELECT 1 FROM added_base_models WHERE model_id = ${modelId} FOR UPDATE`;
    if (rows.length === 0) return false;
    const jobs = await tx.job.count({
      where: { model: modelId, state: { notIn: ['succeeded', 'failed', 'cancelled'] } },
    });
    const versions = await tx.adapterVersion.count({ where: { adapter: { baseModel: modelId } } });
    if (jobs + versions > 0) {
      throw new GraftError(
        'base_model_in_use',
        `${modelId} is used by ${counted(jobs, 'job')} under way and ${counted(versions, 'adapter version')} (deleted ones that can be restored included): hide it instead, and nobody begins anything with it.`,
        { param: 'base_model_id' },
      );
    }
    await tx.addedBaseModel.deleteMany({ where: { modelId } });
    await writeAccess(tx, modelId, 'everyone');
    await tx.baseModel.deleteMany({ where: { id: modelId } });
    await insertAudit(tx, null, by, { action: 'base_model.remove', target: modelId });
    return true;
  });
}

const counted = (count: number, what: string) => `${count} ${what}${count === 1 ? '' : 's'}`;
