import { GraftError } from '@graft/peft-core/config';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database, Transaction } from '../database/database.ts';
import { inRowTransaction } from '../database/in-transaction.ts';
import { newId } from '../ids.ts';
import type { ModelLimit } from '../keys/model-limit.ts';
import { type AdapterTag, maxTags, tagOf, tagsWithin, tagVersion } from './adapter.ts';

interface TagMove {
  adapterId: string;
  name: string;
  version: number;
  /** Moves the tag only if it points at this version; null creates the tag only if it does not exist yet. */
  expected?: number | null | undefined;
}

/** Returns why a name cannot be a tag, or null if it can. Version names end in eight letters or digits; no tag may look like that. */
function tagFault(name: string): string | null {
  if (!/^[a-z][a-z0-9._-]{0,31}$/.test(name))
    return 'must be 1 to 32 of the characters a-z, 0-9, ".", "_" and "-", and begin with a letter';
  if (/^[0-9A-Za-z]{8}$/.test(name))
    return 'could be the end of the name of a version, which is 8 letters or digits: add a "-", or choose another length';
  return null;
}

/**
 * Points a tag at a version, atomically: a concurrent request for the model gets either the old or the new version. Returns the tag and
 * the number of the version that it pointed at before; null if the team has no such version. Throws GraftError `invalid_value` for a
 * name that is not allowed or for one tag too many, and `adapter_tag_moved` if `expected` does not match.
 */
export async function moveTag(
  db: Database,
  teamId: string,
  { adapterId, name, version: number, expected }: TagMove,
  by: Actor,
): Promise<{ tag: AdapterTag; previous: number | null } | null> {
  const fault = tagFault(name);
  if (fault) throw new GraftError('invalid_value', `Invalid 'tag': ${fault}.`, { param: 'tag' });
  return await withAdapterLocked(db, teamId, adapterId, async (tx) => {
    const key = { teamId_adapterId_name: { teamId, adapterId, name } };
    const version = await tx.adapterVersion.findFirst({
      where: { teamId, adapterId, number, deletedAt: null },
      select: {
        id: true,
        adapter: { select: { name: true, baseModel: true, team: { select: { name: true } } } },
      },
    });
    if (!version) return null;
    const before = await tx.adapterTag.findFirst({ where: { teamId, adapterId, name }, ...tagVersion });
    const previous = before?.version.number ?? null;
    if (expected !== undefined && expected !== previous) {
      const now = previous === null ? 'is not there' : `points at version ${previous}`;
      throw new GraftError('adapter_tag_moved', `The tag ${name} ${now}; nothing was changed.`, {
        param: 'expected_version',
      });
    }
    if (!before && (await tx.adapterTag.count({ where: { teamId, adapterId } })) >= maxTags)
      throw new GraftError('invalid_value', `The adapter has ${maxTags} tags, the most that it may have.`, {
        param: 'tag',
      });
    const { adapter } = version;
    const tag = await tx.adapterTag.upsert({
      where: key,
      create: {
        id: newId('tag'),
        teamId,
        adapterId,
        name,
        versionId: version.id,
        modelName: `ft:${adapter.baseModel}:${adapter.team.name}:${adapter.name}:${name}`,
      },
      update: previous === number ? {} : { versionId: version.id, movedAt: new Date() },
      ...tagVersion,
    });
    if (previous !== number) await wakeTargets(tx, { teamId, adapterId, tag: name });
    const detail = { version: number, previous };
    await insertAudit(tx, teamId, by, { action: 'adapter.tag', target: tag.modelName, detail });
    return { tag: tagOf(tag), previous };
  });
}

/** Removes a tag. Returns false if the adapter has no such tag. */
export async function removeTag(
  db: Database,
  teamId: string,
  { adapterId, name }: { adapterId: string; name: string },
  by: Actor,
): Promise<boolean> {
  const removed = await withAdapterLocked(db, teamId, adapterId, async (tx) => {
    const where = { teamId, adapterId, name };
    const tag = await tx.adapterTag.findFirst({ where, ...tagVersion });
    if (!tag) return null;
    await tx.adapterTag.delete({ where: { teamId_adapterId_name: where } });
    await wakeTargets(tx, { teamId, adapterId, tag: name });
    const detail = { version: tag.version.number };
    await insertAudit(tx, teamId, by, { action: 'adapter.untag', target: tag.modelName, detail });
    return tag;
  });
  return removed !== null;
}

/** Lists the tags of an adapter within `models`, by name: at most `maxTags`. */
export async function listTags(
  { db }: Database,
  teamId: string,
  adapterId: string,
  models: ModelLimit,
): Promise<AdapterTag[]> {
  const rows = await db.adapterTag.findMany({
    where: { teamId, adapterId, ...tagsWithin(models) },
    orderBy: { name: 'asc' },
    take: maxTags,
    ...tagVersion,
  });
  return rows.map(tagOf);
}

/** Returns whether a team has a tag with this model name. */
export async function isTag({ db }: Database, teamId: string, modelName: string): Promise<boolean> {
  return (await db.adapterTag.count({ where: { teamId, modelName } })) > 0;
}

/** Runs `work` in a transaction that locks the adapter, so moves, removals and publications run one at a time. Null: no such adapter. */
export async function withAdapterLocked<T>(
  db: Database,
  teamId: string,
  adapterId: string,
  work: (tx: Transaction) => Promise<T | null>,
): Promise<T | null> {
  return await inRowTransaction(db, `adapter ${teamId} ${adapterId}`, async (tx) => {
    // An update that changes nothing still locks the row.
    const adapter = { teamId, id: adapterId };
    const { count } = await tx.adapter.updateMany({ where: adapter, data: { id: adapterId } });
    return count === 0 ? null : await work(tx);
  });
}

/**
 * Makes the deploy targets that follow a tag due, in the transaction that changes the tag: one commit has both the move and the request for
 * the deployment. The generation makes them due again if a process is at work with what was wanted before.
 */
async function wakeTargets(
  tx: Transaction,
  where: { teamId: string; adapterId: string; tag: string },
): Promise<void> {
  await tx.deployTarget.updateMany({
    where,
    data: { generation: { increment: 1 }, failures: 0, nextAttemptAt: new Date(0) },
  });
}
