import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { type QuotaUse, readQuota, readQuotaUse, setQuota, type TeamQuota } from '@graft/service/teams';
import { ref } from '@graft/wire/schema';
import { TeamParams } from '@graft/wire/team';
import { TeamQuotaSchema, UpdateTeamQuotaSchema } from '@graft/wire/team-quota';
import type { Static } from 'typebox';
import { unixSeconds } from '../../answers/list.ts';
import { found } from '../../not-found.ts';
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
    operation("Get a team's quota and its usage", ref(TeamQuotaSchema), { params: TeamParams }),
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

function toWireQuota(teamId: string, quota: TeamQuota, use: QuotaUse): Static<typeof TeamQuotaSchema> {
  return {
    object: 'team.quota',
    team_id: teamId,
    running_jobs: quota.runningJobs,
    queued_jobs: quota.queuedJobs,
    stored_bytes: quota.storedBytes,
    files: quota.files,
    adapters: quota.adapters,
    exports: quota.exports,
    tokens_per_month: quota.tokensPerMonth,
    open_uploads: quota.openUploads,
    models: quota.models && [...quota.models],
    methods: quota.methods && [...quota.methods],
    max_rank: quota.maxRank,
    max_seq_length: quota.maxSeqLength,
    tokens_per_job: quota.tokensPerJob,
    use: {
      running_jobs: use.runningJobs,
      queued_jobs: use.queuedJobs,
      stored_bytes: use.storedBytes,
      files: use.files,
      adapters: use.adapters,
      exports: use.exports,
      trained_tokens: use.trainedTokens,
      planned_tokens: use.plannedTokens,
      open_uploads: use.openUploads,
    },
    has_budget: use.hasBudget,
    month_ends: unixSeconds(use.monthEnds),
  };
}

/** Converts the fields of a request to the service's names. */
function quotaChange(body: Static<typeof UpdateTeamQuotaSchema>): Partial<TeamQuota> {
  const change = {
    runningJobs: body.running_jobs,
    queuedJobs: body.queued_jobs,
    storedBytes: body.stored_bytes,
    files: body.files,
    adapters: body.adapters,
    exports: body.exports,
    tokensPerMonth: body.tokens_per_month,
    openUploads: body.open_uploads,
    models: body.models,
    methods: body.methods,
    maxRank: body.max_rank,
    maxSeqLength: body.max_seq_length,
    tokensPerJob: body.tokens_per_job,
  };
  const named = Object.entries(change).filter(([, value]) => value !== undefined);
  return Object.fromEntries(named) as Partial<TeamQuota>;
}
