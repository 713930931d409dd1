import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { readQuota, readQuotaUse, setQuota, type TeamQuota } from '@graft/service';
import { errorResponses } from '../../schemas/error.ts';
import { ref } from '../../schemas/schema.ts';
import { TeamParams } from '../../schemas/team.ts';
import {
  quotaChange,
  TeamQuotaSchema,
  toWireQuota,
  UpdateTeamQuotaSchema,
} from '../../schemas/team-quota.ts';
import { teamNotFound } from './team.ts';

/** /team/quota and /admin/teams/{id}/quota: the limits of a team, read by team and operator and set by the operator. */
export const quotaRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  async function wire(teamId: string, quota: TeamQuota | null) {
    if (!quota) throw teamNotFound(teamId);
    return toWireQuota(teamId, quota, await readQuotaUse(services, teamId));
  }

  app.get(
    '/team/quota',
    {
      config: { access: { scope: 'team:read', models: 'none' } },
      schema: {
        tags: ['Team'],
        summary: "Get the team's quota and its use",
        description: 'What the operator lets the team have and ask for. A refusal names the limit, too.',
        response: { 200: ref(TeamQuotaSchema), ...errorResponses(401, 403, 404) },
      },
    },
    async ({ caller: { teamId } }) => await wire(teamId, await readQuota(services, teamId)),
  );

  app.get(
    '/admin/teams/:team_id/quota',
    {
      config: { access: 'operator' },
      schema: {
        tags: ['Operator'],
        summary: "Get a team's quota and its use",
        params: TeamParams,
        response: { 200: ref(TeamQuotaSchema), ...errorResponses(401, 403, 404) },
      },
    },
    async ({ params: { team_id } }) => await wire(team_id, await readQuota(services, team_id)),
  );

  app.post(
    '/admin/teams/:team_id/quota',
    {
      config: { access: 'operator' },
      schema: {
        tags: ['Operator'],
        summary: "Change a team's quota",
        description:
          'What the body names; null takes a limit away. It holds from the next request on. What the team has already stays, however much.',
        params: TeamParams,
        body: ref(UpdateTeamQuotaSchema),
        response: { 200: ref(TeamQuotaSchema), ...errorResponses(400, 401, 403, 404) },
      },
    },
    async ({ operator, params: { team_id }, body }) =>
      await wire(team_id, await setQuota(services, team_id, quotaChange(body), operator)),
  );
};
