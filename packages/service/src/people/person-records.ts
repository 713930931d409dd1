import { GraftError } from '@graft/peft-core/config';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database, Transaction } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { listRows, type Page, type PageOptions } from '../database/read-page.ts';
import type { Person } from '../generated/client.ts';
import { newId } from '../ids.ts';

export type PersonRecord = Person;

const maxNameLength = 100;

/** Returns an email as it is stored and compared: in lower case. Throws GraftError `invalid_email`. */
export function parseEmail(text: string, param = 'email'): string {
  const email = text.trim().toLowerCase();
  if (
    email.length <= 254 &&
    /^[!#$%&'*+\-/=?^_`{|}~.a-z0-9]{1,64}@[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/.test(email)
  ) {
    return email;
  }
  throw new GraftError(
    'invalid_email',
    `Invalid '${param}': an email address of letters, digits and the usual signs, such as ada@example.com.`,
    { param },
  );
}

/** Returns a trimmed display name. Throws GraftError `invalid_person_name`. */
export function parsePersonName(text: string): string {
  const name = text.trim();
  // Line breaks and other control characters could forge lines of a list.
  if (name.length >= 1 && name.length <= maxNameLength && !/\p{C}/u.test(name)) return name;
  throw new GraftError(
    'invalid_person_name',
    `Invalid 'name': 1 to ${maxNameLength} characters, none of them invisible.`,
    { param: 'name' },
  );
}

/** Creates a person. Throws GraftError `invalid_email`, `invalid_person_name`, `person_exists`. */
export async function createPerson(
  db: Database,
  input: { email: string; name: string; isOperator?: boolean | undefined },
  by: Actor | null = null,
): Promise<PersonRecord> {
  const email = parseEmail(input.email);
  const name = parsePersonName(input.name);
  return await inTransaction(db, async (tx) => {
    const { person, isNew } = await ensurePerson(tx, { email, name, isOperator: input.isOperator ?? false });
    if (!isNew) {
      throw new GraftError('person_exists', `There is a person of the email ${email}: ${person.id}.`, {
        param: 'email',
      });
    }
    // Without the email: the audit log never changes, but people can be erased.
    const detail = { is_operator: person.isOperator };
    await insertAudit(tx, null, by, { action: 'person.create', target: person.id, detail });
    return person;
  });
}

/** Returns the person of this lower-case email, creating them if needed. Of two concurrent calls one creates the person. */
export async function ensurePerson(
  tx: Transaction,
  { email, ...more }: { email: string; name: string; isOperator: boolean },
): Promise<{ person: PersonRecord; isNew: boolean }> {
  const { count } = await tx.person.createMany({
    data: { id: newId('user'), email, ...more },
    skipDuplicates: true,
  });
  return { person: await tx.person.findFirstOrThrow({ where: { email } }), isNew: count === 1 };
}

/** Lists people, newest first. Throws GraftError `invalid_cursor`. */
export async function listPeople(
  { db }: Database,
  { email, ...options }: PageOptions & { email?: string | undefined },
): Promise<Page<PersonRecord>> {
  const filter = email === undefined ? {} : { email: email.toLowerCase() };
  return await listRows(db.person, options, { filter }, (row) => row);
}

export async function findPerson({ db }: Database, idOrEmail: string): Promise<PersonRecord | null> {
  return await db.person.findFirst({
    where: { OR: [{ id: idOrEmail }, { email: idOrEmail.toLowerCase() }] },
  });
}

export interface PersonChange {
  name?: string | undefined;
  isOperator?: boolean | undefined;
  /** Disables a person, whose keys and sessions then do not work, or enables them again with those not revoked since. */
  isDisabled?: boolean | undefined;
}

/** Null: no such person, or an erased one. Throws GraftError `invalid_person_name`. */
export async function updatePerson(
  db: Database,
  id: string,
  change: PersonChange,
  by: Actor | null = null,
): Promise<PersonRecord | null> {
  const name = change.name === undefined ? {} : { name: parsePersonName(change.name) };
  const isOperator =
    change.isOperator === undefined ? {} : { isOperator: change.isOperator, operatorSource: 'manual' };
  return await inTransaction(db, async (tx) => {
    const { count } = await tx.person.updateMany({
      where: { id, erasedAt: null },
      data: { id, ...name, ...isOperator },
    });
    if (count === 0) return null;
    if (change.isDisabled === true)
      await tx.$executeRaw`UPDATE people SET disabled_at = coalesce(disabled_at, now()), disabled_source = 'manual' WHERE id = ${id}`;
    if (change.isDisabled === false)
      await tx.person.updateMany({ where: { id }, data: { disabledAt: null, disabledSource: null } });
    await insertAudit(tx, null, by, {
      action: 'person.update',
      target: id,
      detail: {
        ...(change.name === undefined ? {} : { name: 'changed' }),
        is_operator: change.isOperator,
        disabled: change.isDisabled,
      },
    });
    return await tx.person.findFirstOrThrow({ where: { id } });
  });
}
