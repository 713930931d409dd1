import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { readQuota, readQuotaUse, setQuota, type TeamQuota } from '@graft/service';
import { found } from '../../not-found.ts';
import { ref } from '../../schemas/schema.ts';
import { TeamParams } from '../../schemas/team.ts';
import {
  quotaChange,
  TeamQuotaSchema,
  toWireQuota,
  UpdateTeamQuotaSchema,
} from '../../schemas/team-quota.ts';
import { operation } from '../admin/operation.ts';
import { operations } from '../operation.ts';

const teamOperation = operations('Team');

/** /team/quota and /admin/teams/{id}/quota: the limits of a team, read by team and operator and set by the operator. */
export const quotaRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  async function wire(teamId: string, quota: TeamQuota | null) {
    return toWireQuota(teamId, found(quota, 'team', teamId), await readQuotaUse(services, teamId));
  }

  app.get(
    '/team/quota',
    teamOperation(
      { access: { scope: 'team:read', models: 'none' } },
      "Get the team's quota and its usage",
      ref(TeamQuotaSchema),
      {
        errors: [404],
        description:
          'The limits that the operator sets for the team. An error for an exceeded limit names it, too.',
      },
    ),
    async ({ caller: { teamId } }) => await wire(teamId, await readQuota(services, teamId)),
  );

  app.get(
    '/admin/teams/:team_id/quota',
    operation("Get a team's quota and its usage", ref(TeamQuotaSchema), {
      params: TeamParams,
    }),
    async ({ params: { team_id } }) => await wire(team_id, await readQuota(services, team_id)),
  );

  app.post(
    '/admin/teams/:team_id/quota',
    operation("Update a team's quota", ref(TeamQuotaSchema), {
      description:
        'Changes the given fields; null removes a limit. Applies from the next request. Existing objects of the team remain, even if they exceed a limit.',
      params: TeamParams,
      body: ref(UpdateTeamQuotaSchema),
    }),
    async ({ operator, params: { team_id }, body }) =>
      await wire(team_id, await setQuota(services, team_id, quotaChange(body), operator)),
  );
};
