import { withSystemScope, withTeamScope } from '@graft/service/database';
import {
  allowsScope,
  hasRole,
  type Identity,
  keyLapsed,
  type Operator,
  verifyKey,
} from '@graft/service/keys';
import { type VerifiedSession, verifySession } from '@graft/service/sessions';
import type { Role, Scope } from '@graft/wire/lists';
import type { FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { type Access, demandAccess, type TeamAccess } from '../access/access.ts';
import { modelAccess } from '../access/model-access.ts';
import { receipts } from '../access/receipts.ts';
import { ApiError } from '../api-error.ts';
import { checkSameOrigin } from '../sign-in/check-same-origin.ts';
import { cookies } from '../sign-in/cookies.ts';
import type { SignInSettings } from '../sign-in/sign-in-settings.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The caller of a team's route. The key or the session determines the team; a person's session may name another of their teams. */
    caller: Identity;
    operator: Operator;
    /** The caller's session; null: the caller uses a key. */
    session: VerifiedSession | null;
  }
}

/**
 * Requires a valid `Authorization: Bearer` key or a session cookie, and the route's `config.access`, for every route in the scope in which
 * it is registered. The rest of the request runs for the caller's team, so that Postgres shows no other team's rows. A key takes
 * precedence over a session, since the client sent it on purpose; a wrong key is refused even with a valid session.
 */
export const auth = fp<{ signIn: SignInSettings }>(async (app, { signIn }) => {
  const cookie = cookies(signIn);
  app.decorateRequest('caller', null as never);
  app.decorateRequest('operator', null as never);
  app.decorateRequest('session', null);
  app.addHook('onRoute', demandAccess);
  app.addHook('onRequest', async (request, reply) => {
    const access = request.routeOptions.config.access!;
    if (access === 'public') return;
    const header = request.headers.authorization;
    const token = header ? undefined : cookie.read('session', request);
    if (token) await bySession(request, reply, token, access);
    else await byKey(request, header);
    await app.rates.countByKey(request, reply);
    reply.hold('requests');
    if (access === 'anyone') return;
    if (access === 'operator') checkOperator(request, signIn);
    else checkTeam(request, access);
  });

  async function byKey(request: FastifyRequest, header: string | undefined): Promise<void> {
    if (!header) {
      throw new ApiError('missing_api_key', 'Send your API key as "Authorization: Bearer graft_…".', {
        headers: challenge,
      });
    }
    // The caller is not known yet, so each header has its own turns.
    const verify = () => app.turnToVerify(header, () => verifyKey(app.services, header, signIn.limits));
    const found = await app.rates.lookUp(request, header, verify);
    if (!found) {
      throw new ApiError('invalid_api_key', 'The API key is wrong, expired or revoked.', {
        headers: challenge,
      });
    }
    if (found.kind === 'lapsed') throw keyLapsed(signIn.limits);
    if (found.kind === 'team') request.caller = found.identity;
    else request.operator = found.operator;
  }

  async function bySession(
    request: FastifyRequest,
    reply: FastifyReply,
    token: string,
    access: Access,
  ): Promise<void> {
    checkSameOrigin(request, signIn.publicUrl);
    const asked = request.headers['graft-team'];
    // A value that cannot be a team name matches no team.
    const team = asked === undefined ? null : typeof asked === 'string' && isText(asked) ? asked : '';
    const verify = () =>
      app.turnToVerify(token, () =>
        verifySession(app.services, token, signIn.limits, team, access === 'operator'),
      );
    const session = await app.rates.lookUp(request, token, verify);
    if (!session) {
      cookie.set('session', reply, '', 0);
      throw new ApiError('invalid_session', 'The session has ended: sign in again.', { headers: challenge });
    }
    request.session = session;
    const { identity, operator } = session;
    // For an operator who is also a member of a team, the route decides which role applies.
    if (access === 'operator') {
      if (operator) request.operator = operator;
    } else if (identity) {
      request.caller = identity;
    } else if (asked !== undefined) {
      const name = String(asked).slice(0, 100);
      throw new ApiError('team_not_found', `No such team: ${name}`, { param: 'Graft-Team' });
    } else if (operator) {
      request.operator = operator;
    }
  }

  // Hooks with a callback, since the context set in an async hook ends with it. Set again before validation: the body arrives in the
  // context of the socket, not of the request.
  const forItsTeam = ({ caller, operator }: FastifyRequest, _reply: FastifyReply, done: () => void) => {
    if (caller) withTeamScope(caller.teamId, done);
    else if (operator) withSystemScope(done);
    else done();
  };
  app.addHook('onRequest', forItsTeam);
  app.addHook('preValidation', forItsTeam);
  await app.register(modelAccess);
  await app.register(receipts);
});

/** Checks whether the text can be the id or the name of a team. */
const isText = (text: string): boolean => /^[\w-]{1,100}$/.test(text);

const challenge = { 'www-authenticate': 'Bearer realm="graft"' };

function checkOperator({ operator, session }: FastifyRequest, { limits }: SignInSettings): void {
  if (operator && session && !session.isRecent && limits.operator) {
    const { seconds } = limits.operator;
    throw new ApiError(
      'reauthentication_required',
      `Operator actions need a recent sign-in, every ${Math.ceil(seconds / 60)} minutes and after a pause: sign in again at /v1/sign-in?reauthenticate=true. Programs use an operator key.`,
      // RFC 9470.
      {
        headers: {
          'www-authenticate': `${challenge['www-authenticate']}, error="insufficient_user_authentication", max_age="${seconds}"`,
        },
      },
    );
  }
  if (operator) return;
  if (session?.method === 'oidc') {
    throw new ApiError('operator_required', 'You are not an operator of this service.');
  }
  throw new ApiError(
    'operator_required',
    'This requires an operator key: create one with `graft admin operator-keys create`, the first one with `graft admin bootstrap` on the server.',
  );
}

function checkTeam(request: FastifyRequest, { scope, role = leastRole(request) }: TeamAccess): void {
  const { caller, session } = request;
  if (!caller && session?.method === 'oidc') {
    throw new ApiError(
      'no_team',
      'You are not a member of the team that the session works in: select another team with POST /v1/me/team, or accept an invitation.',
    );
  }
  if (!caller) {
    throw new ApiError(
      'team_key_required',
      'This is an operator key, which cannot read the data of a team. An admin of the team creates keys with `graft team keys create`.',
    );
  }
  if (!hasRole(caller.role, role)) {
    throw new ApiError(
      'insufficient_role',
      `You have the role ${caller.role} in team ${caller.teamName}; this requires ${role}. An admin of the team can give you the role: to a person with \`graft team members role\`, to a key with \`graft team keys create --role ${role}\`.`,
    );
  }
  checkScope(caller, scope);
}

/** Throws `insufficient_scope`. Routes that require a second scope call it themselves. */
export function checkScope({ scopes }: Identity, scope: Scope): void {
  if (allowsScope(scopes, scope)) return;
  throw new ApiError(
    'insufficient_scope',
    `This key has the scopes ${scopes?.join(', ') || '(none)'}; this requires ${scope}. Create a key that has it with \`graft team keys create --scopes ${scope}\`.`,
    {
      headers: {
        'www-authenticate': `${challenge['www-authenticate']}, error="insufficient_scope", scope="${scope}"`,
      },
    },
  );
}

function leastRole({ method }: FastifyRequest): Role {
  return method === 'GET' || method === 'HEAD' ? 'viewer' : 'member';
}
