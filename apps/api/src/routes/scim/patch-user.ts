import type { ScimUserInput } from '@graft/service/scim';
import { ScimError } from './scim-error.ts';
import { attributeOf, userSchema, withAttributes } from './user-resource.ts';

const patchSchema = 'urn:ietf:params:scim:api:messages:2.0:PatchOp';
const maxOperations = 100;

type Json = Record<string, unknown>;
type Emails = NonNullable<ScimUserInput['attributes']['emails']>;

/**
 * Applies a PATCH to a User (RFC 7644, 3.5.2), in the variants that directories send: Entra sends `Replace` with a path, or a value whose
 * keys are paths; Okta sends `replace` with a value of attributes. Ignores attributes that Graft does not store. Throws ScimError.
 */
export function patchUser(before: ScimUserInput, body: unknown): ScimUserInput {
  const { schemas, Operations: operations } = (body ?? {}) as Json;
  const isPatch =
    Array.isArray(schemas) &&
    schemas.includes(patchSchema) &&
    Array.isArray(operations) &&
    operations.length >= 1 &&
    operations.length <= maxOperations;
  if (!isPatch) {
    throw new ScimError(
      400,
      `The body must be a ${patchSchema} with 1 to ${maxOperations} Operations.`,
      'invalidSyntax',
    );
  }
  let user = before;
  for (const operation of operations as unknown[]) {
    const { op, path, value } = (operation ?? {}) as Json;
    const verb = typeof op === 'string' ? op.toLowerCase() : '';
    if (!['add', 'replace', 'remove'].includes(verb)) {
      throw new ScimError(400, "'op' must be add, replace or remove.", 'invalidSyntax');
    }
    if (path !== undefined && typeof path !== 'string') {
      throw new ScimError(400, "'path' must be a string.", 'invalidPath');
    }
    if (path !== undefined) {
      user = change(user, verb, path, value);
    } else if (verb === 'remove') {
      throw new ScimError(400, "'remove' needs a path.", 'noTarget');
    } else if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      for (const [name, each] of Object.entries(value)) user = change(user, verb, name, each);
    } else {
      throw new ScimError(400, 'Without a path the value must be an object of attributes.', 'invalidValue');
    }
  }
  return user;
}

/** Path of an email by type, or of the primary one, and an attribute of it: `emails[type eq "work"].value`. */
const emailPath = /^emails\[(type|primary) eq (?:"([^"]{1,64})"|(true|false))\](?:\.(value|type|primary))?$/i;

function change(user: ScimUserInput, verb: string, path: string, value: unknown): ScimUserInput {
  const prefix = `${userSchema}:`;
  const name = path.toLowerCase().startsWith(prefix.toLowerCase()) ? path.slice(prefix.length) : path;
  const email = emailPath.exec(name);
  if (email) return changeEmail(user, verb, email, value);
  const set = attributeOf(name);
  // Ignores attributes that Graft does not store, but rejects text that is not a path.
  if (!set) {
    if (/^[\w.:$-]+(?:\[[^[\]]*\](?:\.\w+)?)?$/.test(name)) return user;
    throw new ScimError(400, `'${path.slice(0, 100)}' is not a valid path.`, 'invalidPath');
  }
  if (verb === 'remove') {
    if (['username', 'active'].includes(name.toLowerCase())) {
      throw new ScimError(400, `'${name}' cannot be removed.`, 'mutability');
    }
    return set(user, null);
  }
  const kept = user.attributes.emails ?? [];
  if (verb === 'add' && name.toLowerCase() === 'emails' && kept.length > 0) {
    const added = set(user, value).attributes.emails ?? [];
    const fresh = added.filter((each) => !kept.some((old) => old.value === each.value));
    return set(user, [...kept, ...fresh]);
  }
  if (verb === 'add' && name.toLowerCase() === 'name') {
    return withAttributes(user, { name: { ...user.attributes.name, ...set(user, value).attributes.name } });
  }
  return set(user, value);
}

function changeEmail(
  user: ScimUserInput,
  verb: string,
  [, by, type, primary, part]: RegExpExecArray,
  value: unknown,
): ScimUserInput {
  const wanted =
    by!.toLowerCase() === 'type' ? { type: type ?? '' } : { primary: primary?.toLowerCase() === 'true' };
  const fits = (each: Emails[number]) =>
    'type' in wanted
      ? (each.type ?? '').toLowerCase() === wanted.type.toLowerCase()
      : (each.primary ?? false) === wanted.primary;
  const emails = user.attributes.emails ?? [];
  if (verb === 'remove' || value == null) {
    const rest = emails.filter((each) => !fits(each));
    return withAttributes(user, { emails: rest.length > 0 ? rest : undefined });
  }
  const fresh = (before: object) =>
    part === undefined ? { ...before, ...(value as object) } : { ...before, [part.toLowerCase()]: value };
  const changed = emails.some(fits)
    ? emails.map((each) => (fits(each) ? fresh(each) : each))
    : [...emails, fresh(wanted)];
  return attributeOf('emails')!(user, changed);
}
