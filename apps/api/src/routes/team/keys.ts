import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import {
  type ApiKeyRecord,
  createApiKey,
  getApiKey,
  hasRole,
  type Identity,
  listApiKeys,
  previewRevocation,
  revokeApiKey,
  rotateApiKey,
} from '@graft/service/keys';
import {
  ApiKeyParams,
  ApiKeySchema,
  CreateApiKeySchema,
  CreatedApiKeySchema,
  DeletedApiKeySchema,
  ListApiKeysQuery,
  RevocationSchema,
  RevokeApiKeyQuery,
  RotateApiKeySchema,
} from '@graft/wire/api-key';
import { listOf } from '@graft/wire/list';
import { overlapSeconds } from '@graft/wire/lists';
import { ref } from '@graft/wire/schema';
import type { Static } from 'typebox';
import { toWireApiKey, toWireRevoked } from '../../answers/api-key.ts';
import { toWireList } from '../../answers/list.ts';
import { ApiError } from '../../api-error.ts';
import { found } from '../../not-found.ts';
import { operations } from '../operation.ts';

const operation = operations('Team');
/** Any role, since everyone may have their own keys. The routes check everything beyond that. */
const reading = { access: { scope: 'keys:read', role: 'viewer', models: 'none' } } as const;
/** The creator of a key has all its rights, and could read them at /v1/me with the new key. */
const writing = { access: { scope: 'keys:write', role: 'viewer', models: 'none', answer: 'own' } } as const;

/** /team/keys: all keys of the team for admins, their own keys for others. */
export const teamKeyRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  async function find(caller: Identity, id: string): Promise<ApiKeyRecord> {
    const key = found(await getApiKey(services, caller.teamId, id), 'apiKey', id);
    const isOwn = key.id === caller.keyId || (key.personId !== null && key.personId === caller.personId);
    if (caller.role !== 'admin' && !isOwn)
      throw adminsOnly(caller, 'Only an admin may see the keys of others');
    return key;
  }

  app.get(
    '/team/keys',
    operation(reading, 'List API keys', listOf(ApiKeySchema), {
      description:
        'Newest first, without their secrets. An admin sees all keys of the team, others only their own.',
      querystring: ListApiKeysQuery,
    }),
    async ({ caller, query }) =>
      toWireList(await listApiKeys(services, caller.teamId, { ...query, reader: caller }), toWireApiKey),
  );

  app.post(
    '/team/keys',
    operation(writing, 'Create an API key', ref(CreatedApiKeySchema), {
      description:
        'The key cannot have more rights than the caller, in role, scopes or models, and expires no later. The key is returned only once.',
      body: ref(CreateApiKeySchema),
    }),
    async ({ caller, body }) => {
      const { keyId, key } = await createApiKey(services, caller.teamId, {
        name: body.name,
        role: body.role ?? (hasRole(caller.role, 'member') ? 'member' : 'viewer'),
        scopes: body.scopes === undefined ? storedLimit(caller.scopes) : body.scopes,
        models: body.models === undefined ? storedLimit(caller.models) : body.models,
        expiresIn: body.expires_in,
        personId: ownerOf(caller, body.owner),
        by: caller,
      });
      const made = await getApiKey(services, caller.teamId, keyId);
      return { ...toWireApiKey(made!), key };
    },
  );

  app.get(
    '/team/keys/:key_id',
    operation(reading, 'Get an API key', ref(ApiKeySchema), { params: ApiKeyParams }),
    async ({ caller, params }) => toWireApiKey(await find(caller, params.key_id)),
  );

  app.post(
    '/team/keys/:key_id/rotate',
    operation(writing, 'Rotate an API key', ref(CreatedApiKeySchema), {
      description:
        'Creates a successor with the same rights; the old key stops working after `overlap`. Only the owner can rotate a person’s key.',
      params: ApiKeyParams,
      body: ref(RotateApiKeySchema),
    }),
    async ({ caller, params, body }) => {
      const old = await find(caller, params.key_id);
      if (old.personId !== null && old.personId !== caller.personId) {
        throw new ApiError(
          'not_your_key',
          'Rotating a key returns its successor, so only the owner of the key may do that. You may revoke it.',
        );
      }
      const rotated = await rotateApiKey(services, caller.teamId, old.id, {
        overlap: body.overlap ?? overlapSeconds.byDefault,
        expiresIn: body.expires_in,
        by: caller,
      });
      const made = rotated && (await getApiKey(services, caller.teamId, rotated.keyId));
      return { ...toWireApiKey(made!), key: rotated!.key };
    },
  );

  app.get(
    '/team/keys/:key_id/revocation',
    operation(reading, 'Preview the revocation of an API key', ref(RevocationSchema), {
      description: 'Returns what revoking the key with the same parameters would end, and ends nothing.',
      params: ApiKeyParams,
      querystring: RevokeApiKeyQuery,
    }),
    async ({ caller, params, query }) => {
      const { id } = await find(caller, params.key_id);
      const revoked = await previewRevocation(services, caller.teamId, id, revocationOf(caller, query));
      return { id, object: 'api_key.revocation' as const, revoked: toWireRevoked(revoked!) };
    },
  );

  app.delete(
    '/team/keys/:key_id',
    operation(writing, 'Revoke an API key', ref(DeletedApiKeySchema), {
      description:
        'The key stops working immediately, in every process, and so do its sessions, its open invitations and, unless you keep them, all keys created with it and what these keys made that sends to other servers. It stays in the list.',
      params: ApiKeyParams,
      querystring: RevokeApiKeyQuery,
    }),
    async ({ caller, params, query }) => {
      const { id } = await find(caller, params.key_id);
      // Not an error if the key is already revoked, since it may have descendants that were kept.
      const revoked = await revokeApiKey(services, caller.teamId, id, revocationOf(caller, query));
      return { id, object: 'api_key' as const, deleted: true as const, revoked: toWireRevoked(revoked!) };
    },
  );
};

const revocationOf = (
  caller: Identity,
  { descendants = 'revoke', exits }: Static<typeof RevokeApiKeyQuery>,
) => ({ by: caller, descendants, exits, reach: caller });

const storedLimit = (limit: readonly string[] | null) => (limit ? [...limit] : null);

/** The person who owns the new key; null: the team. */
function ownerOf(caller: Identity, owner: 'person' | 'team' | undefined): string | null {
  if (owner !== 'team' && caller.personId !== null) return caller.personId;
  if (owner === 'person') {
    throw new ApiError('no_person', 'Your key belongs to the team, so it can only create keys of the team.', {
      param: 'owner',
    });
  }
  if (caller.role !== 'admin') throw adminsOnly(caller, 'Only an admin may create keys of the team');
  return null;
}

function adminsOnly({ role, teamName }: Identity, what: string): ApiError {
  return new ApiError(
    'insufficient_role',
    `${what}; you have the role ${role} in team ${teamName}. An admin of the team can give you the role: to a person with \`graft team members role\`, to a key with \`graft team keys create --role admin\`.`,
  );
}
