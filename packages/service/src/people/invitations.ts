import { GraftError } from '@graft/peft-core/config';
import { invitationSeconds, type Role } from '@graft/wire/lists';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import { type Database, databaseTime, type Transaction } from '../database/database.ts';
import { withSystemScope } from '../database/database-scope.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { listRows, type Page, type PageOptions } from '../database/read-page.ts';
import type { Invitation } from '../generated/client.ts';
import { insertApiKey } from '../keys/create-api-key.ts';
import { holdMaker } from '../keys/hold-maker.ts';
import { checkIsUnlimited } from '../keys/limits-of-maker.ts';
import type { Identity } from '../keys/verify-api-key.ts';
import { generateApiKey, isSecret, parseInvitationToken, storeSecret, wholeKey } from '../secrets/api-key.ts';
import type { Secrets } from '../secrets/secrets.ts';
import { insertMembership } from './memberships.ts';
import { ensurePerson, type PersonRecord, parseEmail, parsePersonName } from './person-records.ts';
import { lockIsVerified } from './verify-person.ts';

const maxOpen = 500;

type WithoutToken = Omit<Invitation, 'tokenHmac' | 'pepperVersion'>;
export type InvitationRecord = Omit<WithoutToken, 'role'> & { role: Role };

const withoutToken = { omit: { tokenHmac: true, pepperVersion: true } } as const;
const invitationOf = ({ role, ...row }: WithoutToken): InvitationRecord => ({ ...row, role: role as Role });

/**
 * Invites somebody into a team. The result contains the token of the link, which cannot be shown again. Throws GraftError `invalid_email`,
 * `exceeds_maker`, `too_many_invitations`, `team_not_found`.
 */
export async function createInvitation(
  db: Database & { secrets: Secrets },
  teamId: string,
  input: { email: string | null; role: Role; expiresIn?: number | undefined },
  by: (Actor & Partial<Pick<Identity, 'scopes' | 'models'>>) | null,
): Promise<{ invitation: InvitationRecord; token: string }> {
  checkIsUnlimited(by);
  const email = input.email === null ? null : parseEmail(input.email);
  const made = generateApiKey('invite_');
  const { hmac, pepperVersion } = storeSecret(db.secrets.pepper, made.secret);
  const now = await databaseTime(db);
  const seconds = input.expiresIn ?? invitationSeconds.byDefault;
  const row = await inTransaction(db, async (tx) => {
    await holdMaker(tx, by);
    if ((await tx.team.count({ where: { id: teamId, deletedAt: null } })) === 0) {
      throw new GraftError('team_not_found', `No such team: ${teamId}`, { param: 'team_id' });
    }
    const open = { teamId, acceptedAt: null, revokedAt: null, expiresAt: { gt: now } };
    if ((await tx.invitation.count({ where: open, take: maxOpen })) >= maxOpen) {
      throw new GraftError(
        'too_many_invitations',
        `The team has ${maxOpen} open invitations: revoke some, or wait until they end.`,
        { param: null },
      );
    }
    const invitation = await tx.invitation.create({
      data: {
        id: made.keyId,
        teamId,
        email,
        role: input.role,
        tokenHmac: hmac,
        pepperVersion,
        createdBy: by?.personId ?? by?.keyId ?? null,
        madeByKey: by?.keyId ?? null,
        expiresAt: new Date(now.getTime() + seconds * 1000),
      },
      ...withoutToken,
    });
    const detail = { role: input.role };
    await insertAudit(tx, teamId, by, { action: 'invitation.create', target: made.keyId, detail });
    return invitation;
  });
  return { invitation: invitationOf(row), token: wholeKey(made) };
}

/** Lists invitations, newest first, without their tokens, which are not stored. Throws GraftError `invalid_cursor`. */
export async function listInvitations(
  { db }: Database,
  teamId: string,
  options: PageOptions,
): Promise<Page<InvitationRecord>> {
  return await listRows(db.invitation, options, { where: { teamId }, ...withoutToken }, invitationOf);
}

/** Revokes an invitation, so that its link stops working at once. Returns false if the team has no such open invitation. */
export async function revokeInvitation(
  db: Database,
  teamId: string,
  id: string,
  by: Actor | null,
): Promise<boolean> {
  return await inTransaction(db, async (tx) => {
    const count = await tx.$executeRaw`
      UPDATE invitations SET revoked_at = now()
      WHERE team_id = ${teamId} AND id = ${id} AND revoked_at IS NULL AND accepted_at IS NULL`;
    if (count === 0) return false;
    await insertAudit(tx, teamId, by, { action: 'invitation.revoke', target: id });
    return true;
  });
}

export interface Accepted {
  person: PersonRecord;
  teamId: string;
  teamName: string;
  role: Role;
  keyId: string;
  /** The person's key for this team, which cannot be shown again. */
  key: string;
}

/**
 * Makes the bearer of the token a member of the team, and creates a key for them; of two concurrent calls one succeeds. The person is the
 * one with the invitation's email or else the given email, created if needed, but never one whom a provider has verified. Throws GraftError
 * `invalid_invitation` for a token that is wrong, used, revoked or expired; `missing_required_parameter`, `wrong_invitation_email`,
 * `invalid_email`, `invalid_person_name`, `person_disabled`, `sign_in_required`, `already_member`.
 */
export async function acceptInvitation(
  db: Database & { secrets: Secrets },
  token: string,
  given: { email?: string | undefined; name?: string | undefined },
): Promise<Accepted> {
  // Runs as the system, because the bearer belongs to no team yet.
  return await withSystemScope(async () => await accept(db, token, given));
}

/**
 * Accepts an invitation for a signed-in person, who was verified by the provider and needs no key. Throws GraftError `invalid_invitation`,
 * `wrong_invitation_email`, `already_member`.
 */
export async function acceptInvitationAs(
  db: Database & { secrets: Secrets },
  token: string,
  personId: string,
): Promise<Omit<Accepted, 'key' | 'keyId'>> {
  return await withSystemScope(async () => {
    const found = await findInvitation(db, token);
    return await inTransaction(db, async (tx) => {
      const person = await tx.person.findFirstOrThrow({ where: { id: personId } });
      emailOf(found, person.email);
      return { ...(await joinTeam(tx, found, person)), person };
    });
  });
}

/** Returns the team, the role and the inviter of an open invitation, which stays open. Throws GraftError `invalid_invitation`. */
export async function previewInvitation(
  db: Database & { secrets: Secrets },
  token: string,
): Promise<{ teamName: string; role: Role; invitedBy: string | null; expiresAt: Date }> {
  return await withSystemScope(async () => {
    const { teamId, acceptedAt, revokedAt, createdBy, expiresAt, role } = await findInvitation(db, token);
    const team = await db.db.team.findFirst({ where: { id: teamId, deletedAt: null } });
    const maker = createdBy === null ? null : await db.db.person.findFirst({ where: { id: createdBy } });
    const isOpen = !acceptedAt && !revokedAt && !maker?.disabledAt && expiresAt > (await databaseTime(db));
    if (!team || !isOpen) throw invalidInvitation();
    return { teamName: team.name, role: role as Role, invitedBy: maker?.name ?? null, expiresAt };
  });
}

async function findInvitation(db: Database & { secrets: Secrets }, token: string): Promise<Invitation> {
  const parsed = parseInvitationToken(token);
  const found = parsed && (await db.db.invitation.findFirst({ where: { id: parsed.keyId } }));
  const stored = found && { hmac: found.tokenHmac, pepperVersion: found.pepperVersion };
  if (!parsed || !(await isSecret(db.secrets.pepper, parsed.secret, stored)) || !found) {
    throw invalidInvitation();
  }
  return found;
}

async function accept(
  db: Database & { secrets: Secrets },
  token: string,
  given: { email?: string | undefined; name?: string | undefined },
): Promise<Accepted> {
  const found = await findInvitation(db, token);
  const email = emailOf(found, given.email);
  const name = parsePersonName(given.name ?? email.slice(0, email.indexOf('@')));
  const made = generateApiKey();
  return await inTransaction(db, async (tx) => {
    const { person, isNew } = await ensurePerson(tx, { email, name, isOperator: false });
    if (person.disabledAt) {
      throw new GraftError('person_disabled', 'This person is disabled: ask the operator of the service.', {
        param: 'email',
      });
    }
    if (await lockIsVerified(tx, person.id)) {
      throw new GraftError(
        'sign_in_required',
        'The person of this email signs in at the provider: sign in there, then open the link again.',
        { param: 'email' },
      );
    }
    const by = { keyId: null, personId: person.id };
    if (isNew) {
      const detail = { is_operator: false };
      await insertAudit(tx, null, by, { action: 'person.create', target: person.id, detail });
    }
    const joined = await joinTeam(tx, found, person);
    // The largest role: the person's own role limits the key, also when that role changes.
    const rights = { role: 'admin' as const, scopes: null, models: null };
    const row = { name: 'from the invitation', ...rights, expiresAt: null };
    await insertApiKey(tx, db.secrets, found.teamId, made, { ...row, personId: person.id }, by);
    return { ...joined, person, keyId: made.keyId, key: wholeKey(made) };
  });
}

/** Marks the invitation as used, and makes the person a member. */
async function joinTeam(tx: Transaction, invitation: Invitation, person: PersonRecord) {
  const { id, teamId } = invitation;
  const role = invitation.role as Role;
  const by = { keyId: null, personId: person.id };
  await useUp(tx, id, person.id);
  await insertAudit(tx, teamId, by, { action: 'invitation.accept', target: id });
  const membership = { personId: person.id, role, source: 'manual' as const };
  if (!(await insertMembership(tx, teamId, membership, by))) {
    throw new GraftError('already_member', `${person.email} is a member of the team already.`, {
      param: 'email',
    });
  }
  const team = await tx.team.findFirstOrThrow({ where: { id: teamId } });
  return { teamId, teamName: team.name, role };
}

function emailOf(invitation: Invitation, given: string | undefined): string {
  const email = given === undefined ? null : parseEmail(given);
  if (invitation.email !== null && email !== null && email !== invitation.email) {
    throw new GraftError('wrong_invitation_email', 'The invitation is for another email.', {
      param: 'email',
    });
  }
  const known = invitation.email ?? email;
  if (known !== null) return known;
  throw new GraftError(
    'missing_required_parameter',
    "Missing required parameter: 'email'. The invitation names none.",
    { param: 'email' },
  );
}

/** Throws `invalid_invitation` unless the invitation is open by Postgres's clock, its team exists and its creator is not disabled. */
async function useUp(tx: Transaction, id: string, personId: string): Promise<void> {
  const count = await tx.$executeRaw`
    UPDATE invitations SET accepted_at = now(), accepted_by = ${personId}
    WHERE id = ${id} AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > now()
      AND EXISTS (SELECT 1 FROM teams WHERE id = team_id AND deleted_at IS NULL)
      AND NOT EXISTS (SELECT 1 FROM people WHERE id = created_by AND disabled_at IS NOT NULL)`;
  if (count === 0) throw invalidInvitation();
}

function invalidInvitation(): GraftError {
  return new GraftError(
    'invalid_invitation',
    'The invitation is wrong, was used or revoked, or is too old: ask for another one.',
    { param: 'token' },
  );
}
