import { GraftError } from '@graft/peft-core/config';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database, Transaction } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { Prisma } from '../generated/client.ts';
import type { Identity } from './verify-api-key.ts';

/** Ids of what a revocation ended, at most `maxListed` of each kind. */
export interface Revoked {
  /** Revoked keys, the requested one first; excludes keys that had been revoked before. */
  keys: string[];
  /** Descendants that still work: outside the requester's reach, or kept on request. */
  kept: string[];
  /** Open invitations. */
  invitations: string[];
  /** Webhook endpoints; they are disabled and can be enabled again. */
  webhooks: string[];
  /** People who joined by an invitation of these keys. They remain members, so an admin should check them. */
  members: string[];
}

interface Revocation {
  by: Actor | null;
  /** `revoke` also ends all descendants of the key, with their invitations and webhooks. */
  descendants: 'revoke' | 'keep';
  /** The requester, if they may not revoke all keys of the team: keys of others are not revoked. */
  reach?: Pick<Identity, 'role' | 'personId'>;
}

/** Maximum number of ids of each kind in a response and an audit row: a thief may have made any number of keys. */
const maxListed = 1000;
/** Maximum number of keys in one statement, whose duration Postgres limits. */
const maxAtOnce = 10_000;

/**
 * Revokes a key at once on every process, with its sessions, its open invitations and, unless they are kept, its descendants: a thief knows
 * the secrets of the keys that the key made. The descendants of a key are the keys that it made, also by its sessions; the predecessor that
 * it replaced; and the successor of each descendant. Its own successor is a descendant only if the key itself made it. Null: the team has
 * no such key.
 */
export async function revokeApiKey(
  db: Database,
  teamId: string,
  keyId: string,
  { by, descendants, reach }: Revocation = { by: null, descendants: 'revoke' },
): Promise<Revoked | null> {
  return await inTransaction(db, async (tx) => {
    if ((await tx.apiKey.count({ where: { id: keyId, teamId } })) === 0) return null;
    const reached = reach && reach.role !== 'admin' ? (reach.personId ?? '') : null;
    const ended = await revokeKeys(tx, teamId, [keyId], {
      isDeep: descendants === 'revoke',
      personId: reached,
    });
    // An admin revokes all descendants, so none are left.
    const kept =
      descendants === 'revoke' && reached === null ? [] : await livingDescendants(tx, teamId, [keyId]);
    if (ended.keys.length + ended.invitations.length + ended.webhooks.length > 0) {
      const detail = { descendants, ...ended };
      await insertAudit(tx, teamId, by, { action: 'api_key.revoke', target: keyId, detail });
    }
    return { ...ended, kept };
  });
}

/**
 * Revokes keys of a team and, if `isDeep`, their descendants; with `personId` only that person's descendants. Runs in the caller's
 * transaction; the caller writes the audit row. Passes ids as arrays, because there may be more than a query can have parameters.
 */
export async function revokeKeys(
  tx: Transaction,
  teamId: string,
  ids: string[],
  { isDeep, personId = null }: { isDeep: boolean; personId?: string | null },
): Promise<Omit<Revoked, 'kept'>> {
  const keys = await endKeys(tx, teamId, ids, null);
  const tree = new Set(ids);
  if (isDeep) {
    // Creating a key locks its maker's row until the new row exists: a key that an earlier round missed is seen by a later one.
    for (;;) {
      const found = await descendantsOf(tx, teamId, ids);
      const fresh = found.filter((id) => !tree.has(id));
      if (fresh.length === 0) break;
      for (const id of fresh) tree.add(id);
      for (const id of await endKeys(tx, teamId, fresh, personId)) keys.push(id);
    }
  }
  // Keys outside the reach keep working, and so does what they made.
  const dead = await tx.$queryRaw<{ id: string }[]>`
    SELECT id FROM api_keys WHERE team_id = ${teamId} AND id = ANY(${[...tree]}) AND revoked_at IS NOT NULL`;
  return { keys: keys.slice(0, maxListed), ...(await endWhatKeysMade(tx, teamId, idsOf(dead), { isDeep })) };
}

async function endKeys(
  tx: Transaction,
  teamId: string,
  ids: string[],
  personId: string | null,
): Promise<string[]> {
  const ended: string[] = [];
  for (let at = 0; at < ids.length; at += maxAtOnce) {
    const rows = await tx.$queryRaw<{ id: string }[]>`
      UPDATE api_keys SET revoked_at = now()
      WHERE team_id = ${teamId} AND id = ANY(${ids.slice(at, at + maxAtOnce)}) AND revoked_at IS NULL
        AND (${personId}::text IS NULL OR person_id = ${personId})
      RETURNING id`;
    for (const { id } of rows) ended.push(id);
  }
  return ended;
}

/**
 * CTE `tree`: the given keys of a team and all their descendants, revoked or not, evaluated lazily in this order. Written for the indexes
 * on the keys: for a key with very many descendants, Postgres would otherwise scan all keys of the team for each of them.
 */
const treeOf = (teamId: string, ids: string[]) => Prisma.sql`
  WITH RECURSIVE tree(id, is_root) AS (
    SELECT id, true FROM unnest(${ids}::text[]) AS root(id)
    UNION
    SELECT next.id, false FROM tree t
    JOIN LATERAL (
      SELECT id FROM api_keys WHERE made_by_key = t.id AND team_id IS NOT DISTINCT FROM ${teamId}
      UNION ALL
      SELECT id FROM api_keys WHERE replaced_by = t.id AND team_id IS NOT DISTINCT FROM ${teamId}
      UNION ALL
      SELECT replaced_by FROM api_keys
      WHERE id = t.id AND team_id = ${teamId} AND replaced_by IS NOT NULL AND NOT t.is_root AND t.id <> ALL(${ids})
    ) next ON true
  )`;

/** Forces index scans, because Postgres would otherwise scan the whole table for each key. */
async function readByIndex(tx: Transaction): Promise<void> {
  await tx.$executeRaw`SET LOCAL enable_seqscan = off`;
}

async function descendantsOf(tx: Transaction, teamId: string, ids: string[]): Promise<string[]> {
  await readByIndex(tx);
  const rows = await tx.$queryRaw<{ id: string }[]>`
    ${treeOf(teamId, ids)} SELECT id FROM tree WHERE NOT is_root AND id <> ALL(${ids})`;
  return idsOf(rows);
}

/** Returns at most `maxListed` descendants that still work. `ofThem`: includes the given keys. */
async function livingDescendants(
  tx: Transaction,
  teamId: string,
  ids: string[],
  { ofThem = false } = {},
): Promise<string[]> {
  await readByIndex(tx);
  const rows = await tx.$queryRaw<{ id: string }[]>`
    ${treeOf(teamId, ids)} SELECT t.id FROM tree t
    WHERE CASE WHEN t.is_root THEN ${ofThem} ELSE t.id <> ALL(${ids}) END
      AND EXISTS (
        SELECT 1 FROM api_keys k
        WHERE k.team_id = ${teamId} AND k.id = t.id AND k.revoked_at IS NULL
          AND (k.expires_at IS NULL OR k.expires_at > now()) OFFSET 0)
    LIMIT ${maxListed}`;
  return idsOf(rows).toSorted();
}

/** Returns a team's working keys that a person made, also by other keys: the person may know their secrets. At most `maxListed`. */
export async function keysMadeBy(tx: Transaction, teamId: string, personId: string): Promise<string[]> {
  const roots = await tx.$queryRaw<{ id: string }[]>`
    SELECT id FROM api_keys WHERE team_id = ${teamId} AND (person_id = ${personId} OR created_by = ${personId})`;
  return await livingDescendants(tx, teamId, idsOf(roots), { ofThem: true });
}

/** Revokes the open invitations of these keys (a team's or an operator's) in a team and, if `isDeep`, disables their webhooks. */
export async function endWhatKeysMade(
  tx: Transaction,
  teamId: string,
  keys: string[],
  { isDeep }: { isDeep: boolean },
): Promise<Pick<Revoked, 'invitations' | 'webhooks' | 'members'>> {
  const invitations = await tx.$queryRaw<{ id: string }[]>`
    UPDATE invitations SET revoked_at = now()
    WHERE team_id = ${teamId} AND (made_by_key = ANY(${keys}) OR created_by = ANY(${keys}))
      AND revoked_at IS NULL AND accepted_at IS NULL
    RETURNING id`;
  const webhooks = isDeep
    ? await tx.$queryRaw<{ id: string }[]>`
        UPDATE webhook_endpoints SET disabled_at = now(), disabled_reason = 'The key that made it was revoked.'
        WHERE team_id = ${teamId} AND made_by_key = ANY(${keys}) AND disabled_at IS NULL
        RETURNING id`
    : [];
  const members = await tx.$queryRaw<{ id: string }[]>`
    SELECT DISTINCT m.person_id AS id FROM invitations i
    JOIN memberships m ON m.team_id = i.team_id AND m.person_id = i.accepted_by
    WHERE i.team_id = ${teamId} AND i.made_by_key = ANY(${keys}) AND i.accepted_at = m.created_at
    LIMIT ${maxListed}`;
  return {
    invitations: idsOf(invitations).slice(0, maxListed),
    webhooks: idsOf(webhooks).slice(0, maxListed),
    members: idsOf(members),
  };
}

const idsOf = (rows: { id: string }[]) => rows.map(({ id }) => id);

/**
 * Locks the row of the key that makes something until the transaction ends: a concurrent revocation waits and then also ends what was made.
 * Throws GraftError `invalid_api_key` if the key was revoked since it was verified.
 */
export async function holdMaker(tx: Transaction, by: Actor | null): Promise<void> {
  const keyId = by?.keyId ?? null;
  if (keyId === null) return;
  const rows = keyId.startsWith('op_')
    ? await tx.$queryRaw<object[]>`
        SELECT 1 FROM operator_keys WHERE id = ${keyId} AND revoked_at IS NULL FOR SHARE`
    : await tx.$queryRaw<
        object[]
      >`SELECT 1 FROM api_keys WHERE id = ${keyId} AND revoked_at IS NULL FOR SHARE`;
  if (rows.length > 0) return;
  throw new GraftError('invalid_api_key', 'The API key has been revoked meanwhile.', { param: null });
}
