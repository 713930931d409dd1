import { GraftError } from '@graft/peft-core/config';
import { maxModelAliases } from '@graft/wire/lists';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { BaseModelCatalogue } from '../base-models/catalogue.ts';
import type { Database } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { tryLockName, waitForRow } from '../database/wait-for-row.ts';
import type { ModelAlias as ModelAliasRow } from '../generated/client.ts';
import { findFineTunedModel } from './read-adapters.ts';

type Context = Database & { baseModels: Pick<BaseModelCatalogue, 'has'> };

/** A team's name for a base model, a version or a tag. An alias never points at an alias, so a name is resolved in one step. */
export type ModelAlias = Pick<ModelAliasRow, 'name' | 'target' | 'createdAt' | 'updatedAt'>;

const columns = { select: { name: true, target: true, createdAt: true, updatedAt: true } } as const;

/** The form of an alias: neither an adapter's name (ft:…) nor that of a model of the Hub (organisation/name) has it. */
const aliasPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** Lists the aliases of a team by name: at most `maxModelAliases`. */
export async function listModelAliases({ db }: Database, teamId: string): Promise<ModelAlias[]> {
  const take = maxModelAliases;
  return await db.modelAlias.findMany({ where: { teamId }, orderBy: { name: 'asc' }, take, ...columns });
}

/** Null: the team has no such alias. */
export async function getModelAlias(
  { db }: Database,
  teamId: string,
  name: string,
): Promise<ModelAlias | null> {
  if (!aliasPattern.test(name)) return null;
  return await db.modelAlias.findFirst({ where: { teamId, name }, ...columns });
}

/** Finds the alias that a request names as its model. Null: the name is a base model's, an adapter's or nobody's. */
export async function resolveModelAlias(
  context: Context,
  teamId: string,
  name: string,
): Promise<ModelAlias | null> {
  const alias = await getModelAlias(context, teamId, name);
  // A base model that the operator adds later takes its name back.
  return alias && !(await context.baseModels.has(name, teamId)) ? alias : null;
}

/**
 * Creates an alias, or points it at another model. Throws GraftError `invalid_value` for a name that is not allowed and for one alias too
 * many, `model_not_found` for a target that the team does not have.
 */
export async function setModelAlias(
  context: Context,
  teamId: string,
  { name, target }: { name: string; target: string },
  by: Actor,
): Promise<ModelAlias> {
  const refuse = (code: 'invalid_value' | 'model_not_found', param: string, message: string) =>
    new GraftError(code, message, { param });
  if (!aliasPattern.test(name))
    throw refuse(
      'invalid_value',
      'alias',
      'Invalid alias: it must be 1 to 64 letters, digits, ".", "_" and "-", and begin with a letter or a digit.',
    );
  if (await context.baseModels.has(name, teamId))
    throw refuse('invalid_value', 'alias', `'${name}' is a base model: choose another name for the alias.`);
  const isThere =
    (await context.baseModels.has(target, teamId)) || (await findFineTunedModel(context, teamId, target));
  if (!isThere) {
    if (target === name || (await getModelAlias(context, teamId, target)))
      throw refuse(
        'invalid_value',
        'target',
        `'${target}' is an alias, and an alias cannot point at one: give a base model, or the name of a version or a tag (ft:…).`,
      );
    throw refuse(
      'model_not_found',
      'target',
      `There is no base model, version or tag '${target}' to which an alias could point.`,
    );
  }
  return await waitForRow(`model aliases of ${teamId}`, async () =>
    inTransaction(context, async (tx) => {
      // The second of two concurrent calls counts the alias of the first.
      await tryLockName(tx, `graft:model-aliases:${teamId}`);
      const key = { teamId_name: { teamId, name } };
      const before = await tx.modelAlias.findFirst({ where: { teamId, name }, ...columns });
      if (before?.target === target) return before;
      if (!before && (await tx.modelAlias.count({ where: { teamId } })) >= maxModelAliases)
        throw refuse(
          'invalid_value',
          'alias',
          `The team has ${maxModelAliases} model aliases, the most that it may have: delete one first.`,
        );
      const updatedAt = new Date();
      const alias = await tx.modelAlias.upsert({
        where: key,
        create: { teamId, name, target },
        update: { target, updatedAt },
        ...columns,
      });
      const detail = { model: target, previous: before?.target ?? null };
      await insertAudit(tx, teamId, by, { action: 'model_alias.set', target: name, detail });
      return alias;
    }),
  );
}

/** Returns false if the team has no such alias. */
export async function deleteModelAlias(
  context: Database,
  teamId: string,
  name: string,
  by: Actor,
): Promise<boolean> {
  return await inTransaction(context, async (tx) => {
    const alias = await tx.modelAlias.findFirst({ where: { teamId, name }, ...columns });
    if (!alias || (await tx.modelAlias.deleteMany({ where: { teamId, name } })).count === 0) return false;
    const detail = { model: alias.target };
    await insertAudit(tx, teamId, by, { action: 'model_alias.delete', target: name, detail });
    return true;
  });
}
