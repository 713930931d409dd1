import { GraftError } from '@graft/peft-core/config';
import type { Role } from '@graft/wire/lists';
import { insertAudit } from '../audit/insert-audit.ts';
import { type Database, databaseTime, type Transaction } from '../database/database.ts';
import { withSystemScope } from '../database/database-scope.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { newId } from '../ids.ts';
import { hasRole } from '../keys/roles.ts';
import { syncMembership } from '../people/memberships.ts';
import { ensurePerson, parseEmail, parsePersonName } from '../people/person-records.ts';
import { verifyPerson } from '../people/verify-person.ts';
import type { Secrets } from '../secrets/secrets.ts';
import { insertSession, type NewSession, type SessionLimits } from './create-session.ts';

export interface VerifiedClaims {
  issuer: string;
  subject: string;
  /** Null: the provider has no email, or has not verified it. */
  email: string | null;
  name: string | null;
  /** When the person last authenticated at the provider. Undefined or null: unknown. */
  authenticatedAt?: Date | null;
  /** The person's groups among those that the configuration names. */
  groups: readonly string[];
  /** Id of the provider's own session. */
  providerSession?: string | null;
}

export interface GroupRules {
  /** Grants a role in a team, by its name. Of several matching rows the greatest role applies. */
  teams: readonly { group: string; team: string; role: Role }[];
  operatorGroups: readonly string[];
}

/**
 * Signs a person in: finds the person of this subject or of the verified email, creating them if needed; grants and revokes rights by
 * group; creates a session in `team`, or else in the person's first team. Throws GraftError `email_not_verified`, `invalid_email`,
 * `identity_conflict`, `person_disabled`, `sign_in_used`, `sign_in_failed`.
 */
export async function signInPerson(
  db: Database & { secrets: Secrets },
  claims: VerifiedClaims,
  rules: GroupRules,
  options: SessionLimits & { flowId: string; team: string | null; userAgent: string | undefined },
): Promise<NewSession> {
  // Runs as the system, because a person who signs in belongs to no team yet.
  return await withSystemScope(async () => {
    const { personId, identityId } = await inTransaction(db, async (tx) => {
      const linked = await findOrLink(tx, claims);
      await tx.$executeRaw`UPDATE people SET signed_in_at = now() WHERE id = ${linked.personId}`;
      await applyOperatorGroups(tx, linked.personId, claims, rules);
      return linked;
    });
    await applyTeamGroups(db, personId, claims.groups, rules);
    const now = await databaseTime(db);
    return await inTransaction(db, async (tx) => {
      const { flowId, userAgent } = options;
      await holdIdentity(tx, identityId);
      const chosenTeamId = await firstTeam(tx, personId, options.team);
      const made = await insertSession(
        tx,
        db.secrets,
        {
          personId,
          identityId,
          chosenTeamId,
          flowId,
          userAgent,
          authenticatedAt: past(claims, now),
          providerSessionId: claims.providerSession ?? null,
        },
        now,
        options,
      );
      const detail = { method: 'oidc', issuer: claims.issuer };
      await insertAudit(
        tx,
        null,
        { keyId: null, personId },
        { action: 'session.create', target: made.id, detail },
      );
      return made;
    });
  });
}

/** Limits the time of authentication to now, in case the provider's clock is ahead. */
function past({ authenticatedAt: at = null }: VerifiedClaims, now: Date): Date | null {
  return at !== null && at > now ? now : at;
}

interface Linked {
  personId: string;
  identityId: string;
}

/** Finds a person by the provider's subject. An email only counts at the first sign-in, and only if the provider has verified it. */
async function findOrLink(
  tx: Transaction,
  { issuer, subject, email, name }: VerifiedClaims,
): Promise<Linked> {
  const known = await tx.personIdentity.findFirst({
    where: { issuer, subject },
    include: { person: { select: { disabledAt: true } } },
  });
  if (known) {
    if (known.person.disabledAt) throw disabled();
    await tx.$executeRaw`
      UPDATE person_identities SET last_seen_at = now() WHERE issuer = ${issuer} AND subject = ${subject}`;
    return { personId: known.personId, identityId: known.id };
  }
  if (email === null) {
    throw new GraftError(
      'email_not_verified',
      'The provider does not vouch for an email of yours: have it verified there, then sign in again.',
      { param: null },
    );
  }
  const address = parseEmail(email);
  const { person, isNew } = await ensurePerson(tx, {
    email: address,
    name: nameOf(name, address),
    isOperator: false,
  });
  // Erasing the person concurrently removes this identity, too, or has already disabled the person.
  const [locked] = await tx.$queryRaw<{ isDisabled: boolean }[]>`
    SELECT disabled_at IS NOT NULL AS "isDisabled" FROM people WHERE id = ${person.id} FOR NO KEY UPDATE`;
  if (locked?.isDisabled !== false) throw disabled();
  const by = { keyId: null, personId: person.id };
  if (isNew) {
    await insertAudit(tx, null, by, { action: 'person.create', target: person.id, detail: { issuer } });
  }
  const identityId = newId('identity');
  const { count } = await tx.personIdentity.createMany({
    data: { id: identityId, issuer, subject, personId: person.id },
    skipDuplicates: true,
  });
  if (count === 0) {
    throw new GraftError(
      'identity_conflict',
      'The person of your email is somebody else at the provider: ask the operator of the service.',
      { param: null },
    );
  }
  const detail = { issuer, identity: identityId };
  await insertAudit(tx, null, by, { action: 'person.link', target: person.id, detail });
  await verifyPerson(tx, person.id, by);
  return { personId: person.id, identityId };
}

/** Locks the identity until the session exists, so that unlinking also ends the session. Throws if it was unlinked meanwhile. */
async function holdIdentity(tx: Transaction, id: string): Promise<void> {
  const rows = await tx.$queryRaw<unknown[]>`
    SELECT 1 FROM person_identities WHERE id = ${id} FOR KEY SHARE`;
  if (rows.length > 0) return;
  throw new GraftError('sign_in_failed', 'You were unlinked from this sign-in meanwhile: begin again.', {
    param: null,
  });
}

const disabled = () =>
  new GraftError('person_disabled', 'This person is disabled: ask the operator of the service.', {
    param: null,
  });

/** Returns the name given by the provider, or the local part of the email if that is not a valid name. */
function nameOf(name: string | null, email: string): string {
  const byEmail = email.slice(0, email.indexOf('@'));
  try {
    return parsePersonName(name?.slice(0, 100) ?? byEmail);
  } catch {
    return byEmail;
  }
}

/** Revokes operator rights that a group granted; those that an operator granted remain. */
async function applyOperatorGroups(
  tx: Transaction,
  id: string,
  { groups }: VerifiedClaims,
  { operatorGroups }: GroupRules,
): Promise<void> {
  const wanted = groups.some((group) => operatorGroups.includes(group));
  const where = wanted ? { id, isOperator: false } : { id, isOperator: true, operatorSource: 'oidc' };
  const { count } = await tx.person.updateMany({
    where,
    data: { isOperator: wanted, operatorSource: 'oidc' },
  });
  if (count === 0) return;
  const detail = { is_operator: wanted, source: 'oidc' };
  await insertAudit(tx, null, { keyId: null, personId: id }, { action: 'person.update', target: id, detail });
}

async function applyTeamGroups(
  db: Database,
  personId: string,
  groups: readonly string[],
  { teams: rules }: GroupRules,
): Promise<void> {
  const has = new Set(groups);
  const wanted = new Map<string, Role>();
  for (const { group, team, role } of rules) {
    const other = wanted.get(team);
    if (has.has(group) && !(other && hasRole(other, role))) wanted.set(team, role);
  }
  const teams = await db.db.team.findMany({
    where: { name: { in: [...wanted.keys()] }, deletedAt: null },
    select: { id: true, name: true },
  });
  const roleIn = new Map<string, Role | null>(teams.map(({ id, name }) => [id, wanted.get(name)!]));
  const now = await db.db.membership.findMany({ where: { personId } });
  for (const { teamId, role, source } of now) {
    if (source !== 'oidc' || roleIn.get(teamId) === role) roleIn.delete(teamId);
    else if (!roleIn.has(teamId)) roleIn.set(teamId, null);
  }
  for (const [teamId, role] of roleIn) await syncMembership(db, teamId, personId, role);
}

/** Returns the requested team, by id or name, if the person is a member; else the first one granted by groups, or else the first joined. */
async function firstTeam(tx: Transaction, personId: string, asked: string | null): Promise<string | null> {
  const memberships = await tx.membership.findMany({
    where: { personId, team: { deletedAt: null } },
    include: { team: { select: { name: true } } },
    // Teams from groups first: somebody may have invited the email into other teams without the person's knowledge.
    orderBy: [{ source: 'desc' }, { createdAt: 'asc' }, { teamId: 'asc' }],
    take: 1000,
  });
  const chosen = memberships.find(({ teamId, team }) => asked === teamId || asked === team.name);
  return (chosen ?? memberships[0])?.teamId ?? null;
}

/** Lists the teams of a person by name. */
export async function listTeamsOfPerson(
  { db }: Database,
  personId: string,
): Promise<{ id: string; name: string; role: Role }[]> {
  return await withSystemScope(async () => {
    const rows = await db.membership.findMany({
      where: { personId, team: { deletedAt: null } },
      include: { team: { select: { name: true } } },
      orderBy: { team: { name: 'asc' } },
      take: 1000,
    });
    return rows.map(({ teamId: id, team, role }) => ({ id, name: team.name, role: role as Role }));
  });
}
