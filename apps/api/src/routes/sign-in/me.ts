import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { withSystemScope } from '@graft/service/database';
import { acceptInvitationAs, findPerson, listIdentities, unlinkIdentity } from '@graft/service/people';
import {
  chooseTeam,
  endSessions,
  listSessions,
  listTeamsOfPerson,
  type SessionHolder,
} from '@graft/service/sessions';
import { listOf } from '@graft/wire/list';
import { ref } from '@graft/wire/schema';
import {
  AcceptAsMeSchema,
  ChooseTeamSchema,
  EndedSessionSchema,
  EndedSessionsSchema,
  IdentityParams,
  IdentitySchema,
  JoinedSchema,
  SessionParams,
  SessionSchema,
  UnlinkedIdentitySchema,
} from '@graft/wire/session';
import { ListQuery, MeSchema } from '@graft/wire/team';
import type { FastifyRequest } from 'fastify';
import { secondsOrNull, toWireList, unixSeconds } from '../../answers/list.ts';
import { toWireIdentity, toWireSession } from '../../answers/session.ts';
import { ApiError } from '../../api-error.ts';
import { found, notFound } from '../../not-found.ts';
import type { SignInSettings } from '../../sign-in/sign-in-settings.ts';
import { operations } from '../operation.ts';

const operation = operations('Sign-in');

/** /me: the caller, and the caller's sessions and identities. */
export const meRoutes: FastifyPluginAsyncTypebox<{ signIn: SignInSettings }> = async (app, { signIn }) => {
  const { services } = app;

  app.get(
    '/me',
    operation({ access: 'anyone' }, 'Get the caller', ref(MeSchema), {
      errors: [404],
      description:
        'Returns the person, key or session that makes the request, its team, and its permissions. Accepts any valid key and any session.',
    }),
    async (request) => await describeCaller(request),
  );

  async function describeCaller({ caller, operator, session }: FastifyRequest) {
    const by = caller ?? operator;
    const personId = session ? session.personId : by.personId;
    const person = personId === null ? null : await withSystemScope(() => findPerson(services, personId));
    const signedIn = session?.method === 'oidc' && session.personId !== null;
    return {
      object: 'me' as const,
      kind: caller ? ('team' as const) : operator ? ('operator' as const) : ('person' as const),
      team: caller ? { id: caller.teamId, name: caller.teamName } : null,
      role: caller?.role ?? null,
      scopes: caller?.scopes ? [...caller.scopes] : null,
      models: caller?.models ? [...caller.models] : null,
      key: by?.keyId ? { id: by.keyId, expires_at: secondsOrNull(by.expiresAt) } : null,
      person: person && { id: person.id, email: person.email, name: person.name },
      is_operator: session ? session.operator !== null : !caller,
      // A key acts only in its team, and does not reveal the person's other teams.
      teams: signedIn ? await listTeamsOfPerson(services, session.personId!) : null,
      session: session && {
        id: session.id,
        method: session.method,
        expires_at: unixSeconds(session.expiresAt),
      },
    };
  }

  app.post(
    '/me/team',
    operation({ access: 'anyone' }, 'Switch to another team', ref(MeSchema), {
      errors: [404],
      description:
        'Sets the team of the session, which the person must be a member of. For a single request, name another team in the header `Graft-Team`.',
      body: ref(ChooseTeamSchema),
    }),
    async (request) => {
      const { id, personId } = ownSession(request);
      const { team: wanted } = request.body;
      const teams = await listTeamsOfPerson(services, personId);
      const team = teams.find((each) => each.id === wanted || each.name === wanted);
      if (!team) throw notFound('team', wanted, 'team');
      await chooseTeam(services, id, team.id);
      request.caller = {
        teamId: team.id,
        teamName: team.name,
        role: team.role,
        scopes: null,
        models: null,
        keyId: null,
        personId,
        expiresAt: null,
      };
      return await describeCaller(request);
    },
  );

  app.post(
    '/me/invitations',
    operation({ access: 'anyone' }, 'Accept an invitation as the signed-in person', ref(JoinedSchema), {
      description:
        'Redeems the token of the link: the person becomes a member without needing a key, and the session switches to the team. An invitation for an email requires that the provider has verified this email for the person.',
      body: ref(AcceptAsMeSchema),
    }),
    async (request) => {
      const { id, personId } = ownSession(request);
      const { token } = request.body;
      const accept = () => acceptInvitationAs(services, token, personId);
      // `accept` never resolves to null.
      const joined = await app.rates.lookUp(request, token, accept, ['invalid_invitation']);
      const { teamId, teamName, role } = joined!;
      await chooseTeam(services, id, teamId);
      return { object: 'invitation.accepted' as const, team: { id: teamId, name: teamName }, role };
    },
  );

  app.get(
    '/me/sessions',
    operation({ access: 'anyone' }, 'List sessions', listOf(SessionSchema), {
      description:
        'Valid sessions, newest first. For a person, including sessions of their keys; for a key, those it was exchanged for.',
      querystring: ListQuery,
    }),
    async (request) => {
      const holder = holderOf(request);
      const { idleSeconds } = ('operatorKeyId' in holder && signIn.limits.operator) || signIn.limits;
      const page = await listSessions(services, holder, { ...request.query, idleSeconds });
      return toWireList(page, (record) => toWireSession(record, request.session?.id ?? null));
    },
  );

  app.delete(
    '/me/sessions/:session_id',
    operation({ access: 'anyone' }, 'End a session', ref(EndedSessionSchema), {
      description: 'Takes effect immediately, in every process.',
      params: SessionParams,
    }),
    async (request) => {
      const { session_id: id } = request.params;
      found((await endSessions(services, holderOf(request), id)) > 0, 'session', id);
      return { id, object: 'session' as const, deleted: true as const };
    },
  );

  app.delete(
    '/me/sessions',
    operation({ access: 'anyone' }, 'End all sessions', ref(EndedSessionsSchema), {
      description: 'Takes effect immediately, in every process. The session of the request ends, too.',
    }),
    async (request) => ({
      object: 'sessions.ended' as const,
      count: await endSessions(services, holderOf(request), null),
    }),
  );

  app.get(
    '/me/identities',
    operation({ access: 'anyone' }, "List the caller's identities", listOf(IdentitySchema), {
      description:
        'The identities that the person signs in with, one per provider; oldest first. Only for people who signed in at a provider.',
    }),
    async (request) => {
      const { personId } = ownSession(request);
      return toWireList({ data: await listIdentities(services, personId), hasMore: false }, toWireIdentity);
    },
  );

  app.delete(
    '/me/identities/:identity_id',
    operation({ access: 'anyone' }, 'Unlink an identity of the caller', ref(UnlinkedIdentitySchema), {
      description:
        'Ends the sessions of the identity immediately. Refused for an identity at a provider that people sign in at now; the operator can unlink it.',
      params: IdentityParams,
    }),
    async (request) => {
      const { personId } = ownSession(request);
      const { identity_id: id } = request.params;
      const by = { keyId: null, personId };
      found(await unlinkIdentity(services, personId, id, isWayIn, by), 'identity', id);
      return { id, object: 'identity' as const, deleted: true as const };
    },
  );

  /** Checks whether people sign in through this issuer now. Without a provider any issuer counts: the next one configured may be it. */
  function isWayIn(issuer: string): boolean {
    const { oidc } = signIn;
    if (oidc === null || oidc.allowedIssuers.includes(issuer)) return true;
    return oidc.allowedIssuers.length === 0 && new URL(issuer).href === oidc.issuer.href;
  }
};

/** The session of a person who signed in at the provider. */
function ownSession({ session }: FastifyRequest): { id: string; personId: string } {
  if (session?.method === 'oidc' && session.personId !== null) {
    return { id: session.id, personId: session.personId };
  }
  throw new ApiError(
    'sign_in_required',
    'Only a person who signed in at the provider, at /v1/sign-in, may do this.',
  );
}

function holderOf({ session, caller, operator }: FastifyRequest): SessionHolder {
  if (session?.method === 'oidc') return { personId: session.personId! };
  return caller ? { apiKeyId: caller.keyId! } : { operatorKeyId: operator.keyId! };
}
