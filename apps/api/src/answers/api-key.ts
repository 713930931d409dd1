import type { ApiKeyRecord, Revoked } from '@graft/service/keys';
import type { ApiKeySchema, RevokedSchema } from '@graft/wire/api-key';
import type { Static } from 'typebox';
import { secondsOrNull, unixSeconds } from './list.ts';

export function toWireRevoked({ exits, exitsLeft, ...lists }: Revoked): Static<typeof RevokedSchema> {
  return {
    ...lists,
    webhooks: exits.webhook,
    integrations: exits.integration,
    deploy_targets: exits.deploy_target,
    publications: exits.publication,
    exits_left: exitsLeft,
  };
}

export function toWireApiKey(record: ApiKeyRecord): Static<typeof ApiKeySchema> {
  return {
    id: record.id,
    object: 'api_key',
    created_at: unixSeconds(record.createdAt),
    name: record.name,
    role: record.role,
    scopes: record.scopes,
    models: record.models,
    person_id: record.personId,
    created_by: record.createdBy,
    made_by_key: record.madeByKey,
    last_used_at: secondsOrNull(record.lastUsedAt),
    expires_at: secondsOrNull(record.expiresAt),
    replaced_by: record.replacedBy,
    rotated_at: secondsOrNull(record.rotatedAt),
    revoked_at: secondsOrNull(record.revokedAt),
  };
}
