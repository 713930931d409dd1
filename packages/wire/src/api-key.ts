import { Type } from 'typebox';
import { After, limit } from './list.ts';
import { maxKeySeconds, overlapSeconds, type Role, roles } from './lists.ts';
import { deletedSchema, input, named, namedInput, nullable, oneOf, optional, Time } from './schema.ts';

export const RoleSchema = Type.Unsafe<Role>({
  type: 'string',
  enum: [...roles],
  description:
    '`viewer`: may read. `member`: may also create, change and delete. `admin`: may also manage members and the API keys of the team.',
});

const key = {
  id: Type.String({ description: 'Key id: the middle part of `graft_<id>_<secret>`.' }),
  object: Type.Literal('api_key'),
  created_at: Time,
  name: Type.String(),
  role: RoleSchema,
  scopes: nullable(Type.Array(Type.String()), {
    description: 'Scopes that the key is limited to. Null: everything that the role allows.',
  }),
  models: nullable(Type.Array(Type.String()), {
    description: 'Models that the key is limited to: names, or prefixes ending in `*`. Null: all models.',
  }),
  person_id: nullable(Type.String(), {
    description: 'Id of the person who owns the key. Null if it belongs to the team.',
  }),
  created_by: nullable(Type.String(), {
    description: 'Id of the person or key that created this key. Null: the operator.',
  }),
  made_by_key: nullable(Type.String(), {
    description:
      'Id of the key that created this key, directly or through a session. Revoking that key also revokes this one.',
  }),
  last_used_at: nullable(Time, {
    description:
      'Unix timestamp (in seconds) of the last use, to the minute. Null if the key was never used.',
  }),
  expires_at: nullable(Time, {
    description: 'Unix timestamp (in seconds) at which the key expires. Null: it does not expire.',
  }),
  replaced_by: nullable(Type.String(), {
    description: 'Id of the key that replaced this one when it was rotated. Null if it was not rotated.',
  }),
  rotated_at: nullable(Time),
  revoked_at: nullable(Time),
};

export const ApiKeySchema = named('ApiKey', key);
export const CreatedApiKeySchema = named('CreatedApiKey', {
  ...key,
  key: Type.String({ description: 'The full key. It is returned only once.' }),
});

/** `absent`: documents the value of a new key if the field is absent. */
const limits = (absent: string) =>
  optional({
    scopes: nullable(Type.Array(Type.String(), { maxItems: 64 }), {
      description: `Scopes of the form \`<resource>:read\` or \`<resource>:write\`. Null: everything that the role allows. Default: ${absent}.`,
    }),
    models: nullable(Type.Array(Type.String(), { maxItems: 64 }), {
      description: `Models that the key may train on and call: names, or prefixes ending in \`*\` such as \`ft:tiny:*\`. Null: all models. Default: ${absent}.`,
    }),
  });

export const ExpiresIn = Type.Integer({
  minimum: 1,
  maximum: maxKeySeconds,
  description: 'Lifetime in seconds.',
});

export const KeyName = Type.String({
  minLength: 1,
  maxLength: 100,
  description: 'Name that describes the purpose of the key.',
});

export const CreateApiKeySchema = namedInput('CreateApiKey', {
  name: KeyName,
  role: Type.Optional(RoleSchema),
  ...limits('those of the caller'),
  expires_in: Type.Optional(nullable(ExpiresIn)),
  owner: Type.Optional(
    oneOf(['person', 'team'], {
      description:
        '`person`: the key belongs to the caller and is revoked when their membership ends. `team`: the key belongs to the team and stays when people leave; only admins can create it. Default: `person` if the caller is a person, otherwise `team`.',
    }),
  ),
});

export const CreateTeamKeySchema = namedInput('CreateTeamKey', {
  name: KeyName,
  role: Type.Optional(RoleSchema),
  ...limits('all'),
  person_id: Type.Optional(
    nullable(Type.String({ maxLength: 64 }), {
      description: 'Id of the member who owns the key. Null: it belongs to the team.',
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
      description: 'Number of seconds until the old key stops working.',
    }),
  ),
  expires_in: Type.Optional(ExpiresIn),
});

const ids = (description: string) => Type.Array(Type.String(), { description });

export const RevokedSchema = Type.Object(
  {
    keys: ids(
      'Ids of the keys that were revoked, starting with the requested key unless it was revoked before.',
    ),
    kept: ids(
      'Ids of keys created with it, directly or indirectly, that still work: kept on request, or owned by others, so that only an admin can revoke them.',
    ),
    invitations: ids('Ids of the invitations that were revoked.'),
    webhooks: ids('Ids of the webhook endpoints that were disabled. They can be enabled again.'),
    integrations: ids('Ids of the integrations that were disabled. Setting a URL or secret enables them.'),
    deploy_targets: ids(
      'Ids of the deploy targets that were disabled. Their runtimes keep what they have loaded; they can be enabled again.',
    ),
    publications: ids('Ids of the publications that were ended before they were complete.'),
    exits_left: ids(
      'Ids of webhook endpoints, integrations, deploy targets and publications that the revoked keys made and that continue.',
    ),
    members: ids(
      'Ids of people who joined by an invitation of these keys and are still members. Check whether they should be.',
    ),
  },
  { description: 'What the revocation ended and what it left: at most 1,000 ids of each kind.' },
);

export const DeletedApiKeySchema = deletedSchema('DeletedApiKey', 'api_key', { revoked: RevokedSchema });

export const RevocationSchema = named('ApiKeyRevocation', {
  id: Type.String({ description: 'Id of the key.' }),
  object: Type.Literal('api_key.revocation'),
  revoked: RevokedSchema,
});

export const RevokeApiKeyQuery = input(
  optional({
    descendants: oneOf(['revoke', 'keep'], {
      default: 'revoke',
      description:
        '`revoke`: also revokes all keys created with it, directly or indirectly, with their invitations, because a thief of the key knows the secrets of those keys. `keep`: revokes only the key and its own invitations.',
    }),
    exits: oneOf(['end', 'keep'], {
      description:
        '`end`: disables the webhook endpoints, integrations and deploy targets that the revoked keys made, and ends their publications: at most a request that is under way is still sent. `keep`: lists them. Default: `end`, and `keep` if descendants are kept.',
    }),
  }),
);

export const ListApiKeysQuery = input({ after: After, limit: limit(20, 1000) });
export const ApiKeyParams = Type.Object({ key_id: Type.String() });
export const TeamKeyParams = Type.Object({ team_id: Type.String(), key_id: Type.String() });
