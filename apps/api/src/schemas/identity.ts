import type { IdentityRecord } from '@graft/service';
import { type Static, Type } from 'typebox';
import { named, unixSeconds } from './schema.ts';

export const IdentitySchema = named('PersonIdentity', {
  id: Type.String(),
  object: Type.Literal('identity'),
  created_at: Type.Integer({ description: 'Unix seconds: when it was linked to the person.' }),
  issuer: Type.String({ description: 'The provider.' }),
  subject: Type.String({ description: 'What the provider calls the person.' }),
  last_seen_at: Type.Integer({ description: 'Unix seconds: the last sign-in by it.' }),
});
export const UnlinkedIdentitySchema = named('UnlinkedIdentity', {
  id: Type.String(),
  object: Type.Literal('identity'),
  deleted: Type.Literal(true),
});
export const IdentityParams = Type.Object({ identity_id: Type.String() });
export const IdentityOfPersonParams = Type.Object({ person_id: Type.String(), identity_id: Type.String() });

export function toWireIdentity(record: IdentityRecord): Static<typeof IdentitySchema> {
  return {
    id: record.id,
    object: 'identity',
    created_at: unixSeconds(record.createdAt),
    issuer: record.issuer,
    subject: record.subject,
    last_seen_at: unixSeconds(record.lastSeenAt),
  };
}
