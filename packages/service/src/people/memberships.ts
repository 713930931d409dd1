import { GraftError } from '@graft/peft-core/config';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database, Transaction } from '../database/database.ts';
import { type Page, readPage } from '../database/read-page.ts';
import { checkIsUnlimited } from '../keys/limits-of-maker.ts';
import { keysMadeBy } from '../keys/revoke-api-key.ts';
import { revokeInvitationsOf } from '../keys/revoke-invitations.ts';
import { hasRole, type Role } from '../keys/roles.ts';
import { type Identity, identityInTeam, type Operator } from '../keys/verify-api-key.ts';
import { withTeamLocked } from '../teams/lock-team.ts';

/** Who decides over a membership: people, or the groups of a sign-in. */
export type MembershipSource = 'manual' | 'oidc';

/** A person in a team. */
export interface Member {
  personId: string;
  email: string;
  name: string;
  role: Role;
  source: MembershipSource;
  /** When they joined. */
  createdAt: Date;
  /** Not null: none of their keys works. */
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

/** Oldest first; `after` is a person's id. Throws GraftError `invalid_cursor`. */
export async function listMembers(
  { db }: Database,
  teamId: string,
  options: { after?: string | undefined; limit: number },
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

/** Null: no such member of this team. */
export async function getMember({ db }: Database, teamId: string, personId: string): Promise<Member | null> {
  const row = await db.membership.findFirst({
    where: { teamId, personId },
    ...withPerson,
  });
  return row && memberOf(row);
}

/** Makes a person a member. False: they are one already, and stay what they are. */
export async function insertMembership(
  tx: Transaction,
  teamId: string,
  membership: { personId: string; role: Role; source: MembershipSource },
  by: Actor | null,
): Promise<boolean> {
  const { count } = await tx.membership.createMany({
    data: { teamId, ...membership },
    skipDuplicates: true,
  });
  if (count === 0) return false;
  const { personId: target, role, source } = membership;
  await insertAudit(tx, teamId, by, { action: 'member.add', target, detail: { role, source } });
  return true;
}

/** The operator makes a person a member, or changes what they are. Null: no such team. Throws GraftError `last_admin`. */
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

/** Effective at once for all keys of the person in the team. Null: no such member. Throws GraftError `last_admin`, `exceeds_maker`. */
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

/** What is left of a member who was removed. */
interface RemovedMember {
  /** Keys that the person made for the team or for others, also by other keys, and that still work: to be checked by an admin. */
  keysLeft: string[];
}

/**
 * Takes a person out of a team, and revokes their keys there for good, coming back does not wake them, and the
 * invitations that they left open. Null: no such member. Throws GraftError `last_admin`.
 */
export async function removeMember(
  db: Database,
  teamId: string,
  personId: string,
  by: Actor | null,
): Promise<RemovedMember | null> {
  return await withTeamLocked(db, teamId, { alone: false }, async (tx) => {
    await checkNotLastAdmin(tx, teamId, personId, 'removed');
    return await endMembership(tx, teamId, personId, by);
  });
}

async function endMembership(
  tx: Transaction,
  teamId: string,
  personId: string,
  by: Actor | null,
): Promise<RemovedMember | null> {
  // Waits for whoever makes a key of this person, whose row is seen below.
  const { count } = await tx.membership.deleteMany({ where: { teamId, personId } });
  if (count === 0) return null;
  const keys = await tx.$executeRaw`
    UPDATE api_keys SET revoked_at = now()
    WHERE team_id = ${teamId} AND person_id = ${personId} AND revoked_at IS NULL`;
  await revokeInvitationsOf(tx, teamId, personId);
  const keysLeft = await keysMadeBy(tx, teamId, personId);
  const detail = { revoked_keys: keys, keys_left: keysLeft };
  await insertAudit(tx, teamId, by, { action: 'member.remove', target: personId, detail });
  return { keysLeft };
}

/**
 * Makes a membership what the groups of a sign-in say; null: none. What people decided stays. Unlike them, groups may take the
 * last admin away: who left a group must not stay in.
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
      if (found) await endMembership(tx, teamId, personId, by);
    } else if (!found) {
      await insertMembership(tx, teamId, { personId, role, source: 'oidc' }, by);
    } else if (found.role !== role) {
      await changeRole(tx, teamId, personId, { role, before: found.role as Role }, by);
    }
  });
}

/** Under the team's lock. Somebody disabled does not count: nobody could act for the team. */
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
