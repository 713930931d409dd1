import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { listMembers, removeMember, setMemberRole } from '@graft/service';
import { ApiError } from '../../api-error.ts';
import { errorResponses } from '../../schemas/error.ts';
import { listOf, toWireList } from '../../schemas/list.ts';
import { ref } from '../../schemas/schema.ts';
import {
  ListQuery,
  MemberParams,
  MemberSchema,
  RemovedMemberSchema,
  SetRoleSchema,
  toWireMember,
} from '../../schemas/team.ts';

const tags = ['Team'];

/** /team/members: the people of the team, who join by invitation. */
export const memberRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  app.get(
    '/team/members',
    {
      config: { access: { scope: 'team:read', models: 'none' } },
      schema: {
        tags,
        summary: 'List members',
        description: 'Oldest first.',
        querystring: ListQuery,
        response: { 200: listOf(MemberSchema), ...errorResponses(400, 401, 403) },
      },
    },
    async ({ caller, query }) => toWireList(await listMembers(services, caller.teamId, query), toWireMember),
  );

  app.post(
    '/team/members/:person_id',
    {
      config: { access: { scope: 'team:write', role: 'admin', models: 'none', answer: 'team:read' } },
      schema: {
        tags,
        summary: "Change a member's role",
        description: 'At once, for their keys too. The last admin cannot be demoted.',
        params: MemberParams,
        body: ref(SetRoleSchema),
        response: { 200: ref(MemberSchema), ...errorResponses(400, 401, 403, 404) },
      },
    },
    async ({ caller, params, body }) => {
      const { person_id } = params;
      const member = await setMemberRole(services, caller.teamId, person_id, body.role, caller);
      if (!member) throw memberNotFound(person_id);
      return toWireMember(member);
    },
  );

  app.delete(
    '/team/members/:person_id',
    {
      config: { access: { scope: 'team:write', role: 'admin', models: 'none', answer: 'own' } },
      schema: {
        tags,
        summary: 'Remove a member',
        description:
          'Their keys in the team are revoked. Keys that they created for the team stay valid and are listed. The last admin cannot be removed.',
        params: MemberParams,
        response: { 200: ref(RemovedMemberSchema), ...errorResponses(400, 401, 403, 404) },
      },
    },
    async ({ caller, params: { person_id: id } }) => {
      const removed = await removeMember(services, caller.teamId, id, caller);
      if (!removed) throw memberNotFound(id);
      return {
        id,
        object: 'team.member' as const,
        deleted: true as const,
        keys_left: removed.keysLeft,
      };
    },
  );

  app.post(
    '/team/leave',
    {
      config: { access: { scope: 'team:write', role: 'viewer', models: 'none', answer: 'own' } },
      schema: {
        tags,
        summary: 'Leave the team',
        description: "The caller's keys in the team are revoked, this one included.",
        response: { 200: ref(RemovedMemberSchema), ...errorResponses(400, 401, 403, 404) },
      },
    },
    async ({ caller }) => {
      const id = caller.personId;
      if (id === null) throw new ApiError('no_person', 'This key is the team’s own: nobody leaves with it.');
      const removed = await removeMember(services, caller.teamId, id, caller);
      if (!removed) throw memberNotFound(id);
      return {
        id,
        object: 'team.member' as const,
        deleted: true as const,
        keys_left: removed.keysLeft,
      };
    },
  );
};

export function memberNotFound(id: string): ApiError {
  return new ApiError('member_not_found', `No such member of the team: ${id}`, { param: 'person_id' });
}
