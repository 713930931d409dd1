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
      "Get the team's quota and its use",
      ref(TeamQuotaSchema),
      {
        errors: [404],
        description: 'What the operator lets the team have and ask for. A refusal names the limit, too.',
      },
    ),
    async ({ caller: { teamId } }) => await wire(teamId, await readQuota(services, teamId)),
  );

  app.get(
    '/admin/teams/:team_id/quota',
    operation("Get a team's quota and its use", ref(TeamQuotaSchema), {
      params: TeamParams,
    }),
    async ({ params: { team_id } }) => await wire(team_id, await readQuota(services, team_id)),
  );

  app.post(
    '/admin/teams/:team_id/quota',
    operation("Change a team's quota", ref(TeamQuotaSchema), {
      description:
        'What the body names; null takes a limit away. It holds from the next request on. What the team has already stays, however much.',
      params: TeamParams,
      body: ref(UpdateTeamQuotaSchema),
    }),
    async ({ operator, params: { team_id }, body }) =>
      await wire(team_id, await setQuota(services, team_id, quotaChange(body), operator)),
  );
};
