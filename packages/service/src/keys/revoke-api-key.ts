import { GraftError } from '@graft/peft-core/config';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database, Transaction } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { Prisma } from '../generated/client.ts';
import type { Identity } from './verify-api-key.ts';

/** What a revocation ended: ids, at most `mostListed` of each kind. */
export interface Revoked {
  /** Keys, the asked one first. One that was revoked before is not among them. */
  keys: string[];
  /** Descendants that still work: beyond the reach of whoever asked, or kept on request. */
  kept: string[];
  /** Invitations that nobody had accepted. */
  invitations: string[];
  /** Webhook endpoints, which are disabled, and can be enabled again. */
  webhooks: string[];
  /** People who are members by an invitation of these keys: to be checked by an admin, since they stay. */
  members: string[];
}

interface Revocation {
  by: Actor | null;
  /** `revoke` ends all keys that the key made, and that those made, with their invitations and webhooks. */
  descendants: 'revoke' | 'keep';
  /** Who asks, where they may end less than all keys of the team: of others' keys none is revoked. */
  reach?: Pick<Identity, 'role' | 'personId'>;
}

/** Ids of each kind that an answer and an audit row list: whoever stole a key may have made any number. */
const mostListed = 1000;
/** Keys of one statement, whose time Postgres limits. */
const mostAtOnce = 10_000;

/**
 * Ends a key at once, on every process, with its sessions, the invitations that it left open, and, unless they are kept, the keys
 * descended from it: whoever stole it knows the secrets of what it made. Descendants of a key are those that it made, also by a
 * session of it, the predecessor that it replaced, and the successor of each descendant. Its own successor is one only if the key
 * made it itself. Null: no such key in this team.
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
      ofPerson: reached,
    });
    // An admin leaves none.
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
 * Revokes these keys of a team and, if `isDeep`, their descendants; of a person's only (`ofPerson`), where that is not null. In the
 * caller's transaction, which writes the audit row. Ids go to Postgres as arrays: there may be more than a query has parameters.
 */
export async function revokeKeys(
  tx: Transaction,
  teamId: string,
  ids: string[],
  { isDeep, ofPerson = null }: { isDeep: boolean; ofPerson?: string | null },
): Promise<Omit<Revoked, 'kept'>> {
  const keys = await endKeys(tx, teamId, ids, null);
  const tree = new Set(ids);
  if (isDeep) {
    // Whoever makes a key holds its maker's row until the new one is there: what an earlier round did not see, a later one does.
    for (;;) {
      const found = await descendantsOf(tx, teamId, ids);
      const fresh = found.filter((id) => !tree.has(id));
      if (fresh.length === 0) break;
      for (const id of fresh) tree.add(id);
      for (const id of await endKeys(tx, teamId, fresh, ofPerson)) keys.push(id);
    }
  }
  // A key beyond reach goes on, and so does what it made.
  const dead = await tx.$queryRaw<{ id: string }[]>`
    SELECT id FROM api_keys WHERE team_id = ${teamId} AND id = ANY(${[...tree]}) AND revoked_at IS NOT NULL`;
  return { keys: keys.slice(0, mostListed), ...(await endWhatKeysMade(tx, teamId, idsOf(dead), { isDeep })) };
}

async function endKeys(
  tx: Transaction,
  teamId: string,
  ids: string[],
  ofPerson: string | null,
): Promise<string[]> {
  const ended: string[] = [];
  for (let at = 0; at < ids.length; at += mostAtOnce) {
    const rows = await tx.$queryRaw<{ id: string }[]>`
      UPDATE api_keys SET revoked_at = now()
      WHERE team_id = ${teamId} AND id = ANY(${ids.slice(at, at + mostAtOnce)}) AND revoked_at IS NULL
        AND (${ofPerson}::text IS NULL OR person_id = ${ofPerson})
      RETURNING id`;
    for (const { id } of rows) ended.push(id);
  }
  return ended;
}

/**
 * `tree`: keys of a team and their descendants, living or not, in this order, read no further than it is asked for. By the indexes on
 * the keys alone: where one key made very many, Postgres would prefer to read all of the team's for each of them.
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

/** By the indexes at all: for the same reason it would read the whole table for each. */
async function readByIndex(tx: Transaction): Promise<void> {
  await tx.$queryRaw`SELECT set_config('enable_seqscan', 'off', true)`;
}

async function descendantsOf(tx: Transaction, teamId: string, ids: string[]): Promise<string[]> {
  await readByIndex(tx);
  const rows = await tx.$queryRaw<{ id: string }[]>`
    ${treeOf(teamId, ids)} SELECT id FROM tree WHERE NOT is_root AND id <> ALL(${ids})`;
  return idsOf(rows);
}

async function livingDescendants(tx: Transaction, teamId: string, ids: string[]): Promise<string[]> {
  await readByIndex(tx);
  const rows = await tx.$queryRaw<{ id: string }[]>`
    ${treeOf(teamId, ids)} SELECT t.id FROM tree t
    WHERE NOT t.is_root AND t.id <> ALL(${ids})
      AND EXISTS (SELECT 1 FROM api_keys k WHERE k.team_id = ${teamId} AND k.id = t.id AND k.revoked_at IS NULL OFFSET 0)
    LIMIT ${mostListed}`;
  return idsOf(rows).toSorted();
}

/** Ends what these keys, of a team or of the operator, have left open in a team. */
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
    LIMIT ${mostListed}`;
  return {
    invitations: idsOf(invitations).slice(0, mostListed),
    webhooks: idsOf(webhooks).slice(0, mostListed),
    members: idsOf(members),
  };
}

const idsOf = (rows: { id: string }[]) => rows.map(({ id }) => id);

/**
 * Holds the key by which something is made until it is there: whoever revokes the key waits, and then ends that as well. Throws
 * GraftError `invalid_api_key` when the key was revoked since it was verified.
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
