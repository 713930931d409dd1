import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { repeat } from '@graft/service/repeat';
import { deleteTeam, findTeam, purgeDeletedTeams } from '@graft/service/teams';
import { ref } from '@graft/wire/schema';
import { DeletedTeamSchema, DeleteTeamQuery, TeamSchema } from '@graft/wire/team';
import { toWireTeam } from '../../answers/team.ts';
import { found } from '../../not-found.ts';
import { operations } from '../operation.ts';

const operation = operations('Team');

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
    // The team may have been deleted since the key was verified.
    async ({ caller: { teamId } }) => toWireTeam(found(await findTeam(services, teamId), 'team', teamId)),
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
          'Permanently deletes the team with its files, jobs, adapters and keys. Requires the team’s name; refused while the team has an unfinished job.',
        querystring: DeleteTeamQuery,
      },
    ),
    async ({ caller, query }) => {
      const id = caller.teamId;
      found(await deleteTeam(services, id, query.name, caller), 'team', id);
      purge.wake();
      return { id, object: 'team' as const, deleted: true as const };
    },
  );
};
