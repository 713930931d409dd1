/** Reads a SCIM 2.0 User (RFC 7643) as directories send it, and writes it as they expect it. */
import type { ScimAttributes, ScimUser, ScimUserInput } from '@graft/service/scim';
import { ScimError } from './scim-error.ts';

export const userSchema = 'urn:ietf:params:scim:schemas:core:2.0:User';

/** Maximum characters of a text, and maximum stored emails of a person. */
const most = { characters: 254, emails: 10 };

type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function fault(name: string, what: string): ScimError {
  return new ScimError(400, `'${name}' must be ${what}.`, 'invalidValue');
}

function readText(name: string, value: unknown): string {
  if (typeof value === 'string' && value.length >= 1 && value.length <= most.characters) return value;
  throw fault(name, `a string of 1 to ${most.characters} characters`);
}

/** Entra sends "True" and "False" unless it is set to follow the standard strictly. */
function readBoolean(name: string, value: unknown): boolean {
  const text = typeof value === 'string' ? value.toLowerCase() : value;
  if (text === true || text === 'true') return true;
  if (text === false || text === 'false') return false;
  throw fault(name, 'true or false');
}

const nameParts = ['formatted', 'givenName', 'familyName'] as const;

function readName(value: unknown): NonNullable<ScimAttributes['name']> {
  if (!isObject(value)) throw fault('name', 'an object');
  const parts = nameParts.filter((part) => value[part] != null && value[part] !== '');
  return Object.fromEntries(parts.map((part) => [part, readText(`name.${part}`, value[part])]));
}

function readEmails(value: unknown): NonNullable<ScimAttributes['emails']> {
  const list = Array.isArray(value) ? value : [value];
  if (list.length > most.emails || !list.every(isObject)) {
    throw fault('emails', `a list of at most ${most.emails} objects with a value`);
  }
  return list.map((email) => ({
    value: readText('emails.value', email.value),
    ...(email.type == null ? {} : { type: readText('emails.type', email.type) }),
    ...(email.primary == null ? {} : { primary: readBoolean('emails.primary', email.primary) }),
  }));
}

type SetAttribute = (user: ScimUserInput, value: unknown) => ScimUserInput;

/** The setter of an attribute, by its case-insensitive name (RFC 7643, 2.1). Undefined: not stored. */
export const attributeOf = (name: string): SetAttribute | undefined =>
  Object.hasOwn(attributes, name.toLowerCase()) ? attributes[name.toLowerCase()] : undefined;

const attributes: Record<string, SetAttribute> = {
  username: (user, value) => ({ ...user, userName: readText('userName', value) }),
  externalid: (user, value) => ({
    ...user,
    externalId: value == null || value === '' ? null : readText('externalId', value),
  }),
  active: (user, value) => ({ ...user, active: readBoolean('active', value) }),
  displayname: (user, value) => withAttributes(user, { displayName: optional('displayName', value) }),
  name: (user, value) => withAttributes(user, { name: value == null ? undefined : readName(value) }),
  emails: (user, value) => withAttributes(user, { emails: value == null ? undefined : readEmails(value) }),
  ...Object.fromEntries(
    nameParts.map((part) => [
      `name.${part.toLowerCase()}`,
      (user: ScimUserInput, value: unknown) =>
        withAttributes(user, { name: { ...user.attributes.name, [part]: optional(`name.${part}`, value) } }),
    ]),
  ),
};

const optional = (name: string, value: unknown) =>
  value == null || value === '' ? undefined : readText(name, value);

export function withAttributes(
  user: ScimUserInput,
  changes: { [K in keyof ScimAttributes]: ScimAttributes[K] | undefined },
): ScimUserInput {
  // Converted to JSON and back, as when stored, to drop undefined attributes.
  return { ...user, attributes: JSON.parse(JSON.stringify({ ...user.attributes, ...changes })) };
}

/** Reads a whole User. `active`: the previous value, used if the body has none, so that a change of name reactivates nobody. */
export function readUser(body: unknown, active: boolean): ScimUserInput {
  if (!isObject(body)) throw new ScimError(400, 'The body must be a User.', 'invalidSyntax');
  let user: ScimUserInput = { userName: '', externalId: null, attributes: {}, active };
  for (const [name, value] of Object.entries(body)) {
    const set = attributeOf(name);
    // Null means absent (RFC 7643, 2.5).
    if (set && value !== null) user = set(user, value);
  }
  if (user.userName === '') throw fault('userName', `a string of 1 to ${most.characters} characters`);
  return user;
}

export function toWireUser(user: ScimUser, base: string) {
  const { id, userName, externalId, attributes: kept, active, createdAt, updatedAt } = user;
  return {
    schemas: [userSchema],
    id,
    ...(externalId === null ? {} : { externalId }),
    userName,
    ...kept,
    active,
    meta: {
      resourceType: 'User',
      created: createdAt.toISOString(),
      lastModified: updatedAt.toISOString(),
      location: `${base}/Users/${id}`,
    },
  };
}
