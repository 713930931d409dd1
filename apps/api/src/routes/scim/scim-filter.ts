import type { ScimFilter } from '@graft/service/scim';
import { ScimError } from './scim-error.ts';

const names = new Map<string, ScimFilter['attribute']>([
  ['id', 'id'],
  ['username', 'userName'],
  ['externalid', 'externalId'],
  ['emails', 'email'],
  ['emails.value', 'email'],
  ['emails[type eq "work"].value', 'email'],
]);

/** Parses the filters that directories send: one attribute equals a string. Throws ScimError `invalidFilter`. */
export function parseScimFilter(text: string | undefined): ScimFilter | null {
  if (text === undefined) return null;
  const match = /^\s*(\S+(?: eq "work"\]\.value)?)\s+eq\s+("(?:[^"\\\p{Cc}]|\\["\\/])*")\s*$/iu.exec(text);
  const prefix = 'urn:ietf:params:scim:schemas:core:2.0:user:';
  const path = (match?.[1] ?? '').toLowerCase();
  const attribute = names.get(path.startsWith(prefix) ? path.slice(prefix.length) : path);
  if (!match || !attribute) {
    throw new ScimError(
      400,
      'A filter compares one of id, userName, externalId and emails.value with a string by eq: userName eq "ada@example.com".',
      'invalidFilter',
    );
  }
  return { attribute, value: JSON.parse(match[2]!) as string };
}
