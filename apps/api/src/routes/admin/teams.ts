import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { createInvitation } from '@graft/service/people';
import { createTeam, deleteTeam, findTeam, readTeams, type Team, updateTeam } from '@graft/service/teams';
import { listOf } from '@graft/wire/list';
import { ref } from '@graft/wire/schema';
import {
  CreatedInvitationSchema,
  CreateInvitationSchema,
  CreateTeamSchema,
  DeletedTeamSchema,
  DeleteTeamQuery,
  ListTeamsQuery,
  TeamParams,
  TeamSchema,
  UpdateTeamSchema,
} from '@graft/wire/team';
import { toWireList } from '../../answers/list.ts';
import { toWireInvitation, toWireTeam } from '../../answers/team.ts';
import { found } from '../../not-found.ts';
import { operation } from './operation.ts';

/** /admin/teams: manages teams. The operator does not see a team's data. */
export const adminTeamRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  async function find(id: string): Promise<Team> {
    const team = await findTeam(services, id);
    // Only by id: a name may belong to another team tomorrow.
    return found(team?.id === id && team, 'team', id);
  }

  app.get(
    '/admin/teams',
    operation('List teams', listOf(TeamSchema), {
      description: 'Newest first.',
      querystring: ListTeamsQuery,
    }),
    async ({ query }) => toWireList(await readTeams(services, query), toWireTeam),
  );

  app.post(
    '/admin/teams',
    operation('Create a team', ref(TeamSchema), { body: ref(CreateTeamSchema) }),
    async ({ operator, body: { name, running_limit: runningLimit, weight } }) =>
      toWireTeam(
        await createTeam(
          services,
          { name, runningLimit, weight, quota: services.env.newTeamQuota },
          operator,
        ),
      ),
  );

  app.get(
    '/admin/teams/:team_id',
    operation('Get a team', ref(TeamSchema), { params: TeamParams }),
    async ({ params }) => toWireTeam(await find(params.team_id)),
  );

  app.post(
    '/admin/teams/:team_id',
    operation('Update a team', ref(TeamSchema), { params: TeamParams, body: ref(UpdateTeamSchema) }),
    async ({ operator, params: { team_id }, body: { running_limit: runningLimit, weight } }) => {
      const team = await updateTeam(services, team_id, { runningLimit, weight }, operator);
      return toWireTeam(found(team, 'team', team_id));
    },
  );

  app.delete(
    '/admin/teams/:team_id',
    operation('Delete a team', ref(DeletedTeamSchema), {
      description:
        'Permanently deletes the team with its files, jobs, adapters and keys. Requires the team’s name; refused while the team has an unfinished job.',
      params: TeamParams,
      querystring: DeleteTeamQuery,
    }),
    async ({ operator, params: { team_id: id }, query }) => {
      found(await deleteTeam(services, id, query.name, operator), 'team', id);
      return { id, object: 'team' as const, deleted: true as const };
    },
  );

  app.post(
    '/admin/teams/:team_id/invitations',
    operation('Invite a person to a team', ref(CreatedInvitationSchema), {
      description:
        'Usually for the first admin of the team. The audit log of the team records the invitation.',
      params: TeamParams,
      body: ref(CreateInvitationSchema),
    }),
    async ({ operator, params, body }) => {
      const { invitation, token } = await createInvitation(
        services,
        params.team_id,
        { email: body.email ?? null, role: body.role ?? 'admin', expiresIn: body.expires_in },
        operator,
      );
      return { ...toWireInvitation(invitation), token };
    },
  );
};
