/**
 * People as an identity provider (Entra, Okta) manages them by SCIM: deactivating a person ends their access at once, activating restores
 * it. The provider sees only people whom it created or took over by their email.
 */
import { GraftError } from '@graft/peft-core/config';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import { type Database, json, type Transaction } from '../database/database.ts';
import { withSystemScope } from '../database/database-scope.ts';
import { inSystemTransaction } from '../database/in-transaction.ts';
import type { ScimUser as Row } from '../generated/client.ts';
import { ensurePerson, parseEmail, parsePersonName } from '../people/person-records.ts';
import { verifyPerson } from '../people/verify-person.ts';

export interface ScimAttributes {
  displayName?: string;
  name?: { formatted?: string; givenName?: string; familyName?: string };
  emails?: { value: string; type?: string; primary?: boolean }[];
}

export interface ScimUserInput {
  userName: string;
  externalId: string | null;
  attributes: ScimAttributes;
  active: boolean;
}

export interface ScimUser extends ScimUserInput {
  /** Id of the person. */
  id: string;
  createdAt: Date;
  updatedAt: Date;
}

const userOf = ({ personId, userNameKey: _, attributes, ...row }: Row): ScimUser => ({
  id: personId,
  ...row,
  attributes: attributes as ScimAttributes,
});

/** One attribute that equals a value; `userName` and emails are case-insensitive. */
export type ScimFilter = { attribute: 'id' | 'userName' | 'externalId' | 'email'; value: string };

function whereOf(filter: ScimFilter | null) {
  if (!filter) return {};
  const { attribute, value } = filter;
  if (attribute === 'id') return { personId: value };
  if (attribute === 'userName') return { userNameKey: value.toLowerCase() };
  if (attribute === 'externalId') return { externalId: value };
  return { person: { email: value.toLowerCase() } };
}

/** Lists users, oldest first, skipping `offset` of them. */
export async function listScimUsers(
  { db }: Database,
  filter: ScimFilter | null,
  { offset, limit }: { offset: number; limit: number },
): Promise<{ users: ScimUser[]; total: number }> {
  return await withSystemScope(async () => {
    const where = whereOf(filter);
    const total = await db.scimUser.count({ where });
    const orderBy = [{ createdAt: 'asc' as const }, { personId: 'asc' as const }];
    const rows = limit === 0 ? [] : await db.scimUser.findMany({ where, orderBy, skip: offset, take: limit });
    return { users: rows.map(userOf), total };
  });
}

/** Null: the provider manages no such person. */
export async function getScimUser({ db }: Database, id: string): Promise<ScimUser | null> {
  return await withSystemScope(async () => {
    const row = await db.scimUser.findFirst({ where: { personId: id } });
    return row && userOf(row);
  });
}

/**
 * Takes over the person with this email, creating them if needed. The email counts as verified, so keys that were created for it before are
 * revoked, as at a first sign-in. Throws GraftError `scim_user_exists`, `invalid_email`.
 */
export async function createScimUser(db: Database, input: ScimUserInput, by: Actor): Promise<ScimUser> {
  const email = emailOf(input);
  return await inSystemTransaction(db, async (tx) => {
    const { person, isNew } = await ensurePerson(tx, {
      email,
      name: nameOf(input, email),
      isOperator: false,
    });
    if (isNew) await insertAudit(tx, null, by, { action: 'person.create', target: person.id });
    const { count } = await tx.scimUser.createMany({
      data: { personId: person.id, ...columnsOf(input) },
      skipDuplicates: true,
    });
    if (count === 0) throw exists();
    await verifyPerson(tx, person.id, by);
    await setActive(tx, person.id, input.active, by);
    return userOf(await tx.scimUser.findFirstOrThrow({ where: { personId: person.id } }));
  });
}

/**
 * Updates a user with `change`, which receives the stored one. Name and email of the person do not change, because the first sign-in uses
 * the email and people see the name. Null: the provider manages no such person. Throws GraftError `scim_user_exists`.
 */
export async function updateScimUser(
  db: Database,
  id: string,
  change: (before: ScimUser) => ScimUserInput,
  by: Actor,
): Promise<ScimUser | null> {
  return await inSystemTransaction(db, async (tx) => {
    const locked = await tx.$queryRaw<object[]>`SELECT 1 FROM scim_users WHERE person_id = ${id} FOR UPDATE`;
    if (locked.length === 0) return null;
    const before = userOf(await tx.scimUser.findFirstOrThrow({ where: { personId: id } }));
    const columns = columnsOf(change(before));
    const others = { userNameKey: columns.userNameKey, personId: { not: id } };
    if ((await tx.scimUser.count({ where: others })) > 0) throw exists();
    const [clock] = await tx.$queryRaw<{ now: Date }[]>`SELECT now()`;
    const row = await tx.scimUser.update({
      where: { personId: id },
      data: { ...columns, updatedAt: clock!.now },
    });
    // Also disables somebody who was enabled manually since: a user who is inactive at the provider has no access.
    if (!columns.active || !before.active) await setActive(tx, id, columns.active, by);
    return userOf(row);
  });
}

/** Deactivates a user permanently, and revokes their keys. Returns false if the provider manages no such person. */
export async function deleteScimUser(db: Database, id: string, by: Actor): Promise<boolean> {
  return await inSystemTransaction(db, async (tx) => {
    const { count } = await tx.scimUser.deleteMany({ where: { personId: id } });
    if (count === 0) return false;
    await setActive(tx, id, false, by);
    await tx.$executeRaw`UPDATE api_keys SET revoked_at = now() WHERE person_id = ${id} AND revoked_at IS NULL`;
    await tx.$executeRaw`UPDATE operator_keys SET revoked_at = now() WHERE person_id = ${id} AND revoked_at IS NULL`;
    await insertAudit(tx, null, by, { action: 'person.leave', target: id });
    return true;
  });
}

/** Enables or disables a person; does not enable one whom the operator disabled. */
async function setActive(tx: Transaction, id: string, active: boolean, by: Actor): Promise<void> {
  const changed = active
    ? await tx.$executeRaw`
        UPDATE people SET disabled_at = NULL, disabled_source = NULL WHERE id = ${id} AND disabled_source = 'scim'`
    : await tx.$executeRaw`
        UPDATE people SET disabled_at = now(), disabled_source = 'scim' WHERE id = ${id} AND disabled_at IS NULL`;
  if (!active) {
    await tx.$executeRaw`
      UPDATE sessions SET ended_at = now() WHERE ended_at IS NULL AND (person_id = ${id}
        OR api_key_id IN (SELECT k.id FROM api_keys k WHERE k.person_id = ${id})
        OR operator_key_id IN (SELECT k.id FROM operator_keys k WHERE k.person_id = ${id}))`;
  }
  if (changed === 0) return;
  const detail = { disabled: !active, source: 'scim' };
  await insertAudit(tx, null, by, { action: 'person.update', target: id, detail });
}

const columnsOf = ({ userName, externalId, attributes, active }: ScimUserInput) => ({
  userName,
  userNameKey: userName.toLowerCase(),
  externalId,
  active,
  attributes: json({ ...attributes }),
});

/** Returns the primary email, or else the first, or the user name if it is an email. */
function emailOf({ userName, attributes: { emails = [] } }: ScimUserInput): string {
  const email = emails.find(({ primary }) => primary) ?? emails[0];
  return parseEmail(email?.value ?? userName, 'emails');
}

function nameOf({ attributes: { displayName, name } }: ScimUserInput, email: string): string {
  const parts = [name?.givenName, name?.familyName].filter(Boolean).join(' ');
  for (const text of [displayName, name?.formatted, parts]) {
    try {
      if (text) return parsePersonName(text.slice(0, 100));
    } catch {
      // Try the next candidate.
    }
  }
  return email.slice(0, email.indexOf('@'));
}

const exists = () =>
  new GraftError('scim_user_exists', 'The directory has somebody of this userName or email already.', {
    param: 'userName',
  });
