import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { deleteTeam, findTeam, purgeDeletedTeams, repeat } from '@graft/service';
import { ApiError } from '../../api-error.ts';
import { ref } from '../../schemas/schema.ts';
import { DeletedTeamSchema, DeleteTeamQuery, TeamSchema, toWireTeam } from '../../schemas/team.ts';
import { operations } from '../operation.ts';

const operation = operations('Team');

/** /team: the caller's team. */
export const teamRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;
  // Often enough that a deleted team's rows are gone soon after the deletion.
  const purge = repeat(
    'purge-teams',
    600_000,
    async (stopping) => void (await purgeDeletedTeams(services, stopping)),
    services.log,
  );
  app.addHook('onClose', async () => await purge.stop());

  app.get(
    '/team',
    operation({ access: { scope: 'team:read', models: 'none' } }, 'Get the team', ref(TeamSchema)),
    async ({ caller }) => {
      const team = await findTeam(services, caller.teamId);
      // Deleted since the key was verified.
      if (!team) throw teamNotFound(caller.teamId);
      return toWireTeam(team);
    },
  );

  app.delete(
    '/team',
    operation(
      { access: { scope: 'team:write', role: 'admin', models: 'all', answer: 'own' } },
      'Delete the team',
      ref(DeletedTeamSchema),
      {
        errors: [404],
        description:
          'With its files, jobs, adapters and keys, for good. Takes its name, and is refused while a job has not ended.',
        querystring: DeleteTeamQuery,
      },
    ),
    async ({ caller, query }) => {
      if (!(await deleteTeam(services, caller.teamId, query.name, caller))) throw teamNotFound(caller.teamId);
      purge.wake();
      return { id: caller.teamId, object: 'team' as const, deleted: true as const };
    },
  );
};

export function teamNotFound(id: string, param = 'team_id'): ApiError {
  return new ApiError('team_not_found', `No such team: ${id}`, { param });
}
