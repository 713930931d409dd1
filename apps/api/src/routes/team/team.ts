import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { deleteTeam, findPerson, findTeam, purgeDeletedTeams, repeat } from '@graft/service';
import { ApiError } from '../../api-error.ts';
import { secondsOrNull } from '../../schemas/api-key.ts';
import { errorResponses } from '../../schemas/error.ts';
import { ref } from '../../schemas/schema.ts';
import { DeletedTeamSchema, DeleteTeamQuery, MeSchema, TeamSchema, toWireTeam } from '../../schemas/team.ts';

const tags = ['Team'];

/** /me and /team: who asks, and for whom. */
export const teamRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;
  // Often enough that a deleted team's rows are gone while people still think of it.
  const purge = repeat(
    'purge-teams',
    600_000,
    async (stopping) => void (await purgeDeletedTeams(services, stopping)),
    services.log,
  );
  app.addHook('onClose', async () => await purge.stop());

  app.get(
    '/me',
    {
      config: { access: 'anyone' },
      schema: {
        tags,
        summary: 'Who am I?',
        description: 'What the key is, whose, and what it may do. Takes any valid key.',
        response: { 200: ref(MeSchema), ...errorResponses(401) },
      },
    },
    async ({ caller, operator }) => {
      const { keyId, personId, expiresAt } = caller ?? operator;
      const person = personId === null ? null : await findPerson(services, personId);
      return {
        object: 'me' as const,
        kind: caller ? ('team' as const) : ('operator' as const),
        team: caller ? { id: caller.teamId, name: caller.teamName } : null,
        role: caller?.role ?? null,
        scopes: caller?.scopes ? [...caller.scopes] : null,
        models: caller?.models ? [...caller.models] : null,
        key: keyId === null ? null : { id: keyId, expires_at: secondsOrNull(expiresAt) },
        person: person && { id: person.id, email: person.email, name: person.name },
      };
    },
  );

  app.get(
    '/team',
    {
      config: { access: { scope: 'team:read' } },
      schema: {
        tags,
        summary: 'Get the team',
        response: { 200: ref(TeamSchema), ...errorResponses(401, 403) },
      },
    },
    async ({ caller }) => {
      const team = await findTeam(services, caller.teamId);
      // Deleted since the key was verified.
      if (!team) throw teamNotFound(caller.teamId);
      return toWireTeam(team);
    },
  );

  app.delete(
    '/team',
    {
      config: { access: { scope: 'team:write', role: 'admin' } },
      schema: {
        tags,
        summary: 'Delete the team',
        description:
          'With its files, jobs, adapters and keys, for good. Takes its name, and is refused while a job has not ended.',
        querystring: DeleteTeamQuery,
        response: { 200: ref(DeletedTeamSchema), ...errorResponses(400, 401, 403, 404) },
      },
    },
    async ({ caller, query }) => {
      if (!(await deleteTeam(services, caller.teamId, query.name, caller))) throw teamNotFound(caller.teamId);
      purge.wake();
      return { id: caller.teamId, object: 'team' as const, deleted: true as const };
    },
  );
};

export function teamNotFound(id: string): ApiError {
  return new ApiError('team_not_found', `No such team: ${id}`, { param: 'team_id' });
}
