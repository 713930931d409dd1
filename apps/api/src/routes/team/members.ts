import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Identity } from '@graft/service/keys';
import { listMembers, removeMember, setMemberRole } from '@graft/service/people';
import { listOf } from '@graft/wire/list';
import { ref } from '@graft/wire/schema';
import {
  ListQuery,
  MemberParams,
  MemberSchema,
  RemovedMemberSchema,
  RemoveMemberQuery,
  SetRoleSchema,
} from '@graft/wire/team';
import { toWireList } from '../../answers/list.ts';
import { toWireMember, toWireRemoved } from '../../answers/team.ts';
import { ApiError } from '../../api-error.ts';
import { found } from '../../not-found.ts';
import { operations } from '../operation.ts';

const operation = operations('Team');

/** /team/members: the people of the team, who join by invitation. */
export const memberRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  async function remove(id: string, caller: Identity, endsExits = false) {
    const removed = await removeMember(services, caller.teamId, id, caller, { endsExits });
    return { id, object: 'team.member' as const, ...toWireRemoved(found(removed, 'member', id)) };
  }

  app.get(
    '/team/members',
    operation({ access: { scope: 'team:read', models: 'none' } }, 'List members', listOf(MemberSchema), {
      description: 'Oldest first.',
      querystring: ListQuery,
    }),
    async ({ caller, query }) => toWireList(await listMembers(services, caller.teamId, query), toWireMember),
  );

  app.post(
    '/team/members/:person_id',
    operation(
      { access: { scope: 'team:write', role: 'admin', models: 'none', answer: 'team:read' } },
      "Update a member's role",
      ref(MemberSchema),
      {
        description: 'Takes effect immediately, for their keys, too. The last admin cannot be demoted.',
        params: MemberParams,
        body: ref(SetRoleSchema),
      },
    ),
    async ({ caller, params: { person_id: id }, body }) =>
      toWireMember(found(await setMemberRole(services, caller.teamId, id, body.role, caller), 'member', id)),
  );

  app.delete(
    '/team/members/:person_id',
    operation(
      { access: { scope: 'team:write', role: 'admin', models: 'none', answer: 'own' } },
      'Remove a member',
      ref(RemovedMemberSchema),
      {
        description:
          'Revokes their keys in the team. Keys that they created for the team remain valid and are listed, and unless you end them, so does what they made that sends to other servers. The last admin cannot be removed.',
        params: MemberParams,
        querystring: RemoveMemberQuery,
      },
    ),
    async ({ caller, params: { person_id: id }, query }) => await remove(id, caller, query.exits === 'end'),
  );

  app.post(
    '/team/leave',
    operation(
      { access: { scope: 'team:write', role: 'viewer', models: 'none', answer: 'own' } },
      'Leave the team',
      ref(RemovedMemberSchema),
      { errors: [404], description: "Revokes the caller's keys in the team, including the one used." },
    ),
    async ({ caller }) => {
      const id = caller.personId;
      if (id === null)
        throw new ApiError('no_person', 'This key belongs to the team, not to a member who could leave.');
      return await remove(id, caller);
    },
  );
};
