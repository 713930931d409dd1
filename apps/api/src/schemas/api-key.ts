import { type ApiKeyRecord, maxKeySeconds, overlapSeconds, type Role, roles } from '@graft/service';
import { type Static, Type } from 'typebox';
import { After, limit } from './list.ts';
import { deletedSchema, input, named, namedInput, nullable, Time, unixSeconds } from './schema.ts';

export const RoleSchema = Type.Unsafe<Role>({
  type: 'string',
  enum: [...roles],
  description: 'viewer: reads; member: everything else; admin: people and keys too.',
});

const key = {
  id: Type.String({ description: 'The middle part of `graft_<id>_<secret>`.' }),
  object: Type.Literal('api_key'),
  created_at: Time,
  name: Type.String(),
  role: RoleSchema,
  scopes: nullable(Type.Array(Type.String()), { description: 'Null: all that the role may.' }),
  models: nullable(Type.Array(Type.String()), {
    description: 'Names of models, or their beginnings with a `*` behind. Null: all.',
  }),
  person_id: nullable(Type.String(), { description: "Whose key it is. Null: the team's own." }),
  created_by: nullable(Type.String(), { description: 'A person or a key. Null: the operator.' }),
  made_by_key: nullable(Type.String(), {
    description:
      'The key by which it was made, also by a session of that key: revoking that one ends this one.',
  }),
  last_used_at: nullable(Time, { description: 'To the minute.' }),
  expires_at: nullable(Time, { description: 'Null: it does not end by itself.' }),
  replaced_by: nullable(Type.String(), { description: 'The key that was made from it by rotation.' }),
  rotated_at: nullable(Time),
  revoked_at: nullable(Time),
};

export const ApiKeySchema = named('ApiKey', key);
export const CreatedApiKeySchema = named('CreatedApiKey', {
  ...key,
  key: Type.String({ description: 'The whole key. It is shown this once.' }),
});

/** `absent`: documents the value of a new key if the field is absent. */
const limits = (absent: string) => ({
  scopes: Type.Optional(
    nullable(Type.Array(Type.String(), { maxItems: 64 }), {
      description: `\`<resource>:read|write\`. Null: all that the role may. Absent: ${absent}.`,
    }),
  ),
  models: Type.Optional(
    nullable(Type.Array(Type.String(), { maxItems: 64 }), {
      description: `Models that it may train on and call: names, or beginnings with a \`*\` behind (\`ft:tiny:*\`). Null: all. Absent: ${absent}.`,
    }),
  ),
});

export const ExpiresIn = Type.Integer({ minimum: 1, maximum: maxKeySeconds, description: 'Seconds.' });

export const KeyName = Type.String({ minLength: 1, maxLength: 100, description: 'What it is for.' });

export const CreateApiKeySchema = namedInput('CreateApiKey', {
  name: KeyName,
  role: Type.Optional(RoleSchema),
  ...limits("the caller's"),
  expires_in: Type.Optional(nullable(ExpiresIn)),
  owner: Type.Optional(
    Type.Enum(['person', 'team'], {
      type: 'string',
      description:
        "`person`: the caller's own, which ends with their membership. `team`: stays when people go; only admins make them. Default: person, for a caller who is one.",
    }),
  ),
});

export const CreateTeamKeySchema = namedInput('CreateTeamKey', {
  name: KeyName,
  role: Type.Optional(RoleSchema),
  ...limits('all'),
  person_id: Type.Optional(
    nullable(Type.String({ maxLength: 64 }), {
      description: "A member whose key it is. Null: the team's own.",
    }),
  ),
  expires_in: Type.Optional(nullable(ExpiresIn)),
});

export const RotateApiKeySchema = namedInput('RotateApiKey', {
  overlap: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: overlapSeconds.most,
      default: overlapSeconds.byDefault,
      description: 'Seconds until the old key ends.',
    }),
  ),
  expires_in: Type.Optional(ExpiresIn),
});

const ids = (description: string) => Type.Array(Type.String(), { description });

export const DeletedApiKeySchema = deletedSchema('DeletedApiKey', 'api_key', {
  revoked: Type.Object(
    {
      keys: ids('Keys that stopped working, the asked one first unless it was revoked before.'),
      kept: ids(
        'Keys descended from it that still work: kept on request, or others’, which only an admin revokes.',
      ),
      invitations: ids('Invitations whose links stopped working.'),
      webhooks: ids('Webhook endpoints that were disabled; they can be enabled again.'),
      members: ids('People who joined by an invitation of these keys and are still members: check them.'),
    },
    { description: 'What the revocation ended, and what it left: at most 1,000 ids of each kind.' },
  ),
});

export const RevokeApiKeyQuery = input({
  descendants: Type.Optional(
    Type.Enum(['revoke', 'keep'], {
      type: 'string',
      default: 'revoke',
      description:
        '`revoke`: also revokes all keys created with it, directly or indirectly, with their invitations and webhooks, since a thief knows the secrets that a stolen key created. `keep`: only the key and its own invitations end.',
    }),
  ),
});

export const ListApiKeysQuery = input({ after: After, limit: limit(20, 1000) });
export const ApiKeyParams = Type.Object({ key_id: Type.String() });
export const TeamKeyParams = Type.Object({ team_id: Type.String(), key_id: Type.String() });

/** Unix seconds of a time, or null. */
export const secondsOrNull = (date: Date | null): number | null => (date ? unixSeconds(date) : null);

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
