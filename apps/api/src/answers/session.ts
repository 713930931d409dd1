import type { IdentityRecord } from '@graft/service/people';
import type { SessionRecord } from '@graft/service/sessions';
import type { IdentitySchema, SessionSchema } from '@graft/wire/session';
import type { Static } from 'typebox';
import { unixSeconds } from './list.ts';

export function toWireSession(record: SessionRecord, current: string | null): Static<typeof SessionSchema> {
  return {
    id: record.id,
    object: 'session',
    created_at: unixSeconds(record.createdAt),
    method: record.method,
    key_id: record.keyId,
    current: record.id === current,
    user_agent: record.userAgent,
    last_used_at: unixSeconds(record.lastUsedAt),
    expires_at: unixSeconds(record.expiresAt),
  };
}

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
