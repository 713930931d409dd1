import { GraftError } from '@graft/peft-core/config';
import type { Role } from '@graft/wire/lists';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database, Transaction } from '../database/database.ts';
import { type Page, type PageOptions, readPage } from '../database/read-page.ts';
import { checkIsUnlimited } from '../keys/limits-of-maker.ts';
import { endExitsOfPerson } from '../keys/revoke-api-key.ts';
import { revokeInvitationsOf } from '../keys/revoke-invitations.ts';
import { hasRole } from '../keys/roles.ts';
import { type Identity, identityInTeam, type Operator } from '../keys/verify-api-key.ts';
import { withTeamLocked } from '../teams/lock-team.ts';

/** Origin that controls a membership: people, or the groups of a sign-in. */
export type MembershipSource = 'manual' | 'oidc';

export interface Member {
  personId: string;
  email: string;
  name: string;
  role: Role;
  source: MembershipSource;
  createdAt: Date;
  /** Not null: the person is disabled, and their keys do not work. */
  disabledAt: Date | null;
}

const withPerson = {
  include: { person: { select: { email: true, name: true, disabledAt: true } } },
} as const;

interface Row {
  personId: string;
  role: string;
  source: string;
  createdAt: Date;
  person: Pick<Member, 'email' | 'name' | 'disabledAt'>;
}

function memberOf({ personId, role, source, createdAt, person }: Row): Member {
  return { personId, role: role as Role, source: source as MembershipSource, createdAt, ...person };
}

/** Lists members, oldest first; `after` is a person's id. Throws GraftError `invalid_cursor`. */
export async function listMembers(
  { db }: Database,
  teamId: string,
  options: PageOptions,
): Promise<Page<Member>> {
  return await readPage<Row & { id: string }, Member>(options, {
    has: async (personId) => await db.membership.count({ where: { teamId, personId } }),
    read: async ({ take, cursor }) => {
      const rows = await db.membership.findMany({
        where: { teamId },
        orderBy: [{ createdAt: 'asc' }, { personId: 'asc' }],
        take,
        ...(cursor ? { cursor: { teamId_personId: { teamId, personId: cursor.id } } } : {}),
        ...withPerson,
      });
      return rows.map((row) => ({ ...row, id: row.personId }));
    },
    toRecord: memberOf,
  });
}

export async function getMember({ db }: Database, teamId: string, personId: string): Promise<Member | null> {
  const row = await db.membership.findFirst({ where: { teamId, personId }, ...withPerson });
  return row && memberOf(row);
}

/** Adds a member. Returns false if the person is a member already; their role does not change. */
export async function insertMembership(
  tx: Transaction,
  teamId: string,
  membership: { personId: string; role: Role; source: MembershipSource },
  by: Actor | null,
): Promise<boolean> {
  const { count } = await tx.membership.createMany({ data: { teamId, ...membership }, skipDuplicates: true });
  if (count === 0) return false;
  const { personId: target, role, source } = membership;
  await insertAudit(tx, teamId, by, { action: 'member.add', target, detail: { role, source } });
  return true;
}

/** Adds a member or changes their role, for an operator. Null: no such team. Throws GraftError `last_admin`. */
export async function putMember(
  db: Database,
  teamId: string,
  personId: string,
  role: Role,
  by: Operator | null = null,
): Promise<Member | null> {
  const added = await withTeamLocked(
    db,
    teamId,
    { alone: false },
    async (tx) => await insertMembership(tx, teamId, { personId, role, source: 'manual' }, by),
  );
  if (added === null) return null;
  return added ? await getMember(db, teamId, personId) : await setMemberRole(db, teamId, personId, role, by);
}

/**
 * Changes a role; takes effect at once for all keys of the person in the team. Null: no such member. Throws GraftError `last_admin`,
 * `exceeds_maker`.
 */
export async function setMemberRole(
  db: Database,
  teamId: string,
  personId: string,
  role: Role,
  by: Identity | Operator | null,
): Promise<Member | null> {
  await withTeamLocked(db, teamId, { alone: false }, async (tx) => {
    const found = await tx.membership.findFirst({ where: { teamId, personId } });
    if (!found || found.role === role) return;
    if (!hasRole(found.role as Role, role)) checkIsUnlimited(identityInTeam(by));
    await checkNotLastAdmin(tx, teamId, personId, 'demoted');
    await changeRole(tx, teamId, personId, { role, before: found.role as Role }, by);
  });
  return await getMember(db, teamId, personId);
}

async function changeRole(
  tx: Transaction,
  teamId: string,
  target: string,
  detail: { role: Role; before: Role },
  by: Actor | null,
): Promise<void> {
  await tx.membership.updateMany({ where: { teamId, personId: target }, data: { role: detail.role } });
  if (detail.role !== 'admin') await revokeInvitationsOf(tx, teamId, target);
  await insertAudit(tx, teamId, by, { action: 'member.role', target, detail });
}

/** Objects that remain of a removed member. */
export interface RemovedMember {
  /** Working keys that the person made for the team or for others, also by other keys; an admin should check them. */
  keysLeft: string[];
  /** Exits that the person made, also by keys: those that were ended, and those that continue. */
  exitsEnded: string[];
  exitsLeft: string[];
}

/**
 * Removes a person from a team and revokes their keys there and their open invitations. The keys stay revoked if the person returns. Unless
 * `endsExits`, what they made that sends to other servers continues: it is the team's, and its admins decide. Null: no such member. Throws
 * GraftError `last_admin`.
 */
export async function removeMember(
  db: Database,
  teamId: string,
  personId: string,
  by: Actor | null,
  { endsExits = false } = {},
): Promise<RemovedMember | null> {
  return await withTeamLocked(db, teamId, { alone: false }, async (tx) => {
    await checkNotLastAdmin(tx, teamId, personId, 'removed');
    return await endMembership(tx, teamId, personId, { by, endsExits });
  });
}

async function endMembership(
  tx: Transaction,
  teamId: string,
  personId: string,
  { by, endsExits }: { by: Actor | null; endsExits: boolean },
): Promise<RemovedMember | null> {
  // Waits for a concurrent creation of a key of this person, so that the key's row is visible below.
  const { count } = await tx.membership.deleteMany({ where: { teamId, personId } });
  if (count === 0) return null;
  const keys = await tx.$executeRaw`
    UPDATE api_keys SET revoked_at = now()
    WHERE team_id = ${teamId} AND person_id = ${personId} AND revoked_at IS NULL`;
  await revokeInvitationsOf(tx, teamId, personId);
  const left = await endExitsOfPerson(tx, teamId, personId, { by, endsExits });
  const { keysLeft, exitsEnded, exitsLeft } = left;
  const exits = { exits_ended: exitsEnded, exits_left: exitsLeft };
  const detail = { revoked_keys: keys, keys_left: keysLeft, ...exits };
  await insertAudit(tx, teamId, by, { action: 'member.remove', target: personId, detail });
  return left;
}

/**
 * Sets a membership to what the groups of a sign-in define; null: none. Memberships that people manage stay. Unlike people, groups may
 * remove the last admin: somebody who left a group must not stay in the team.
 */
export async function syncMembership(
  db: Database,
  teamId: string,
  personId: string,
  role: Role | null,
): Promise<void> {
  const by = { keyId: null, personId };
  await withTeamLocked(db, teamId, { alone: false }, async (tx) => {
    const where = { teamId, personId, source: 'oidc' };
    const found = await tx.membership.findFirst({ where });
    if (role === null) {
      if (found) await endMembership(tx, teamId, personId, { by, endsExits: false });
    } else if (!found) {
      await insertMembership(tx, teamId, { personId, role, source: 'oidc' }, by);
    } else if (found.role !== role) {
      await changeRole(tx, teamId, personId, { role, before: found.role as Role }, by);
    }
  });
}

/** Call while holding the team's lock. Disabled admins do not count, because they cannot act for the team. */
async function checkNotLastAdmin(
  tx: Transaction,
  teamId: string,
  personId: string,
  verb: string,
): Promise<void> {
  const found = await tx.membership.findFirst({ where: { teamId, personId } });
  if (found?.role !== 'admin') return;
  const others = await tx.membership.count({
    where: { teamId, role: 'admin', personId: { not: personId }, person: { disabledAt: null } },
  });
  if (others > 0) return;
  throw new GraftError(
    'last_admin',
    `The last admin of a team cannot be ${verb}: make somebody else an admin first.`,
    { param: 'person_id' },
  );
}
