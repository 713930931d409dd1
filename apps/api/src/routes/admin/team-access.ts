import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { createApiKey, getApiKey, listApiKeys, revokeApiKey } from '@graft/service/keys';
import { findPerson, putMember, removeMember } from '@graft/service/people';
import { findTeam } from '@graft/service/teams';
import {
  ApiKeySchema,
  CreatedApiKeySchema,
  CreateTeamKeySchema,
  DeletedApiKeySchema,
  ListApiKeysQuery,
  TeamKeyParams,
} from '@graft/wire/api-key';
import { listOf } from '@graft/wire/list';
import { ref } from '@graft/wire/schema';
import {
  MemberSchema,
  RemovedMemberSchema,
  RemoveMemberQuery,
  SetRoleSchema,
  TeamMemberParams,
  TeamParams,
} from '@graft/wire/team';
import { toWireApiKey, toWireRevoked } from '../../answers/api-key.ts';
import { toWireList } from '../../answers/list.ts';
import { toWireMember, toWireRemoved } from '../../answers/team.ts';
import { found } from '../../not-found.ts';
import { operation } from './operation.ts';

/** /admin/teams/{id}/keys and members: who has access to a team, as recorded in its audit log. Shows nothing else of a team. */
export const adminTeamAccessRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  app.get(
    '/admin/teams/:team_id/keys',
    operation("List a team's API keys", listOf(ApiKeySchema), {
      description: 'Newest first, without their secrets.',
      params: TeamParams,
      querystring: ListApiKeysQuery,
    }),
    async ({ params: { team_id: id }, query }) => {
      found((await findTeam(services, id))?.id === id, 'team', id);
      return toWireList(await listApiKeys(services, id, query), toWireApiKey);
    },
  );

  app.post(
    '/admin/teams/:team_id/keys',
    operation('Create an API key of a team', ref(CreatedApiKeySchema), {
      description:
        'Creates a key for a member or for the team. It expires no later than the key that creates it, and is revoked with it. The key is returned only once.',
      params: TeamParams,
      body: ref(CreateTeamKeySchema),
    }),
    async ({
      operator,
      params: { team_id },
      body: { name, role, scopes, models, person_id, expires_in },
    }) => {
      const { keyId, key } = await createApiKey(services, team_id, {
        name,
        role: role ?? 'member',
        scopes: scopes ?? null,
        models: models ?? null,
        personId: person_id,
        expiresIn: expires_in,
        by: operator,
      });
      const made = await getApiKey(services, team_id, keyId);
      return { ...toWireApiKey(made!), key };
    },
  );

  app.delete(
    '/admin/teams/:team_id/keys/:key_id',
    operation('Revoke an API key of a team', ref(DeletedApiKeySchema), {
      description:
        'Also revokes its sessions, its invitations and all keys created with it, directly or indirectly, in every process.',
      params: TeamKeyParams,
    }),
    async ({ operator, params: { team_id, key_id: id } }) => {
      const result = await revokeApiKey(services, team_id, id, { by: operator, descendants: 'revoke' });
      const revoked = found(result, 'apiKey', id);
      return { id, object: 'api_key' as const, deleted: true as const, revoked: toWireRevoked(revoked) };
    },
  );

  app.post(
    '/admin/teams/:team_id/members/:person_id',
    operation('Add a member or change a member’s role', ref(MemberSchema), {
      description: 'Applies to the person’s keys, too. The last admin cannot be demoted.',
      params: TeamMemberParams,
      body: ref(SetRoleSchema),
    }),
    async ({ operator, params: { team_id, person_id }, body: { role } }) => {
      found((await findPerson(services, person_id))?.id === person_id, 'person', person_id);
      const member = await putMember(services, team_id, person_id, role, operator);
      return toWireMember(found(member, 'team', team_id));
    },
  );

  app.delete(
    '/admin/teams/:team_id/members/:person_id',
    operation('Remove a member from a team', ref(RemovedMemberSchema), {
      description: 'Revokes the keys of the person in the team. The last admin cannot be removed.',
      params: TeamMemberParams,
      querystring: RemoveMemberQuery,
      errors: [400],
    }),
    async ({ operator, params: { team_id, person_id: id }, query }) => {
      const endsExits = query.exits === 'end';
      const removed = await removeMember(services, team_id, id, operator, { endsExits });
      return { id, object: 'team.member' as const, ...toWireRemoved(found(removed, 'member', id)) };
    },
  );
};
