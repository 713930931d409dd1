import type { ExitKind } from '@graft/wire/lists';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database, Transaction } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { Prisma } from '../generated/client.ts';
import { type Exit, endExits, isOfMaker, readExits } from './exits.ts';
import type { Identity } from './verify-api-key.ts';

/** Ids of what a revocation ended, at most `maxListed` of each kind. */
export interface Revoked {
  /** Revoked keys, the requested one first; excludes keys that had been revoked before. */
  keys: string[];
  /** Descendants that still work: outside the requester's reach, or kept on request. */
  kept: string[];
  /** Open invitations. */
  invitations: string[];
  /** Exits that were ended, by kind; they can be enabled or requested again. */
  exits: Record<ExitKind, string[]>;
  /** Exits that these keys made and that continue. */
  exitsLeft: string[];
  /** People who joined by an invitation of these keys. They remain members, so an admin should check them. */
  members: string[];
}

interface Revocation {
  by: Actor | null;
  /** `revoke` also ends all descendants of the key, with their invitations. */
  descendants: 'revoke' | 'keep';
  /** `end` ends the exits of the keys that are revoked. Default: they go the way of the descendants. */
  exits?: 'end' | 'keep' | undefined;
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
  revocation: Revocation = { by: null, descendants: 'revoke' },
): Promise<Revoked | null> {
  return await inTransaction(db, async (tx) => await revoke(tx, teamId, keyId, revocation));
}

/** Returns what `revokeApiKey` would, and changes nothing. */
export async function previewRevocation(
  db: Database,
  teamId: string,
  keyId: string,
  revocation: Revocation,
): Promise<Revoked | null> {
  let preview: Revoked | null = null;
  const undone = new Error('undone');
  await inTransaction(db, async (tx) => {
    preview = await revoke(tx, teamId, keyId, revocation);
    throw undone;
  }).catch((error: unknown) => {
    if (error !== undone) throw error;
  });
  return preview;
}

async function revoke(
  tx: Transaction,
  teamId: string,
  keyId: string,
  { by, descendants, exits = descendants === 'revoke' ? 'end' : 'keep', reach }: Revocation,
): Promise<Revoked | null> {
  if ((await tx.apiKey.count({ where: { id: keyId, teamId } })) === 0) return null;
  const reached = reach && reach.role !== 'admin' ? (reach.personId ?? '') : null;
  const ended = await revokeKeys(tx, teamId, [keyId], {
    by,
    isDeep: descendants === 'revoke',
    endsExits: exits === 'end',
    personId: reached,
  });
  // An admin revokes all descendants, so none are left.
  const kept =
    descendants === 'revoke' && reached === null ? [] : await livingDescendants(tx, teamId, [keyId]);
  if (endsAnything(ended)) {
    const detail = { descendants, exits, ...detailOf(ended) };
    await insertAudit(tx, teamId, by, { action: 'api_key.revoke', target: keyId, detail });
  }
  return { ...ended, kept };
}

type Ended = Omit<Revoked, 'kept'>;

export const endsAnything = ({ keys, invitations, exits }: Ended): boolean =>
  keys.length + invitations.length + Object.values(exits).flat().length > 0;

export const detailOf = ({ keys, invitations, exits, exitsLeft, members }: Ended) => ({
  keys,
  invitations,
  webhooks: exits.webhook,
  integrations: exits.integration,
  deploy_targets: exits.deploy_target,
  publications: exits.publication,
  exits_left: exitsLeft,
  members,
});

/**
 * Revokes keys of a team and, if `isDeep`, their descendants; with `personId` only that person's descendants. Runs in the caller's
 * transaction; the caller writes the audit row. Passes ids as arrays, because there may be more than a query can have parameters.
 */
export async function revokeKeys(
  tx: Transaction,
  teamId: string,
  ids: string[],
  {
    by,
    isDeep,
    endsExits = true,
    personId = null,
  }: { by: Actor | null; isDeep: boolean; endsExits?: boolean; personId?: string | null },
): Promise<Ended> {
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
  const made = idsOf(dead);
  return {
    keys: keys.slice(0, maxListed),
    ...(await endInvitations(tx, teamId, made)),
    ...(await endExitsOf(
      tx,
      teamId,
      { keys: new Set(made) },
      { by, endsExits, reason: 'The key that made it was revoked.' },
    )),
  };
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

/**
 * Returns what remains of a person in a team: working keys that the person made, also by other keys, and whose secrets they may know, at most
 * `maxListed`; and the exits of the person and of these keys, which are ended if `endsExits`.
 */
export async function endExitsOfPerson(
  tx: Transaction,
  teamId: string,
  personId: string,
  { by, endsExits }: { by: Actor | null; endsExits: boolean },
): Promise<{ keysLeft: string[]; exitsEnded: string[]; exitsLeft: string[] }> {
  const keys = await keysMadeBy(tx, teamId, personId);
  const keysLeft = await livingDescendants(tx, teamId, [...keys], { ofThem: true });
  const reason = 'The person who made it has left the team.';
  const { exits, exitsLeft } = await endExitsOf(tx, teamId, { keys, personId }, { by, endsExits, reason });
  return { keysLeft, exitsEnded: Object.values(exits).flat(), exitsLeft };
}

/** Returns the keys of a team that a person or key made, directly or through others, with the key itself. */
export async function keysMadeBy(tx: Transaction, teamId: string, maker: string): Promise<Set<string>> {
  const rows = await tx.$queryRaw<{ id: string }[]>`
    SELECT id FROM api_keys WHERE team_id = ${teamId} AND (id = ${maker} OR person_id = ${maker} OR created_by = ${maker})`;
  const roots = idsOf(rows);
  return new Set([...roots, ...(await descendantsOf(tx, teamId, roots))]);
}

/** Ends the exits of these keys and the person that are enabled, or returns them as left. */
async function endExitsOf(
  tx: Transaction,
  teamId: string,
  makers: Parameters<typeof isOfMaker>[1],
  { by, endsExits, reason }: { by: Actor | null; endsExits: boolean; reason: string },
): Promise<Pick<Revoked, 'exits' | 'exitsLeft'>> {
  const open = (await readExits(tx, teamId)).filter((exit) => exit.isEnabled && isOfMaker(exit, makers));
  if (endsExits) await endExits(tx, teamId, open, { by, reason });
  const of = (kind: ExitKind) =>
    open.flatMap((exit: Exit) => (endsExits && exit.kind === kind ? [exit.id] : []));
  return {
    exits: {
      webhook: of('webhook'),
      integration: of('integration'),
      deploy_target: of('deploy_target'),
      publication: of('publication'),
    },
    exitsLeft: endsExits ? [] : open.map(({ id }) => id),
  };
}

/** Revokes the open invitations of these keys (a team's or an operator's) in a team, and lists who joined by their invitations. */
export async function endInvitations(
  tx: Transaction,
  teamId: string,
  keys: string[],
): Promise<Pick<Revoked, 'invitations' | 'members'>> {
  const invitations = await tx.$queryRaw<{ id: string }[]>`
    UPDATE invitations SET revoked_at = now()
    WHERE team_id = ${teamId} AND (made_by_key = ANY(${keys}) OR created_by = ANY(${keys}))
      AND revoked_at IS NULL AND accepted_at IS NULL
    RETURNING id`;
  const members = await tx.$queryRaw<{ id: string }[]>`
    SELECT DISTINCT m.person_id AS id FROM invitations i
    JOIN memberships m ON m.team_id = i.team_id AND m.person_id = i.accepted_by
    WHERE i.team_id = ${teamId} AND i.made_by_key = ANY(${keys}) AND i.accepted_at = m.created_at
    LIMIT ${maxListed}`;
  return { invitations: idsOf(invitations).slice(0, maxListed), members: idsOf(members) };
}

const idsOf = (rows: { id: string }[]) => rows.map(({ id }) => id);
