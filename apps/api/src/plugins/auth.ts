import {
  allowsScope,
  asSystem,
  asTeam,
  hasRole,
  type Identity,
  type Operator,
  type Role,
  type Scope,
  verifyKey,
} from '@graft/service';
import type { FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import fp from 'fastify-plugin';
import { ApiError } from '../api-error.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
  }
  interface FastifyRequest {
    /** Who asks, of a route of a team. The team comes from the key, never from the request. */
    caller: Identity;
    /** Who asks, of a route of the operator. */
    operator: Operator;
  }
}

/**
 * What a route asks of its caller: a team's key or person with a scope and a role, the operator, anyone with a valid key
 * (one of `caller` and `operator` is null then), or nobody at all.
 */
export type Access = TeamAccess | 'operator' | 'anyone' | 'public';

interface TeamAccess {
  /** The kind of thing that it reads or writes. */
  scope: Scope;
  /** The least role. Default: any for reading, member for the rest. */
  role?: Role;
}

/**
 * Demands a valid `Authorization: Bearer` key, and what its `config.access` says, of every route in the scope that it is
 * registered in. What follows runs for the caller's team, so that Postgres shows it no other's rows.
 */
export const auth = fp(async (app) => {
  app.decorateRequest('caller', null as unknown as Identity);
  app.decorateRequest('operator', null as unknown as Operator);
  app.addHook('onRoute', demandAccess);
  app.addHook('onRequest', async (request, reply) => {
    const access = request.routeOptions.config.access!;
    if (access === 'public') return;
    const header = request.headers.authorization;
    if (!header) {
      throw new ApiError('missing_api_key', 'Send your API key as "Authorization: Bearer graft_…".', {
        headers: challenge,
      });
    }
    await app.rates.beforeLookup(request);
    // Who it is, is not known yet; a header is its sender's.
    const found = await app.turns.run(header, () => verifyKey(app.services, header));
    if (!found) {
      await app.rates.wrongKey(request);
      throw new ApiError('invalid_api_key', 'The API key is wrong, has ended or was revoked.', {
        headers: challenge,
      });
    }
    if (found.kind === 'team') request.caller = found.identity;
    else request.operator = found.operator;
    await app.rates.rightKey(request, reply);
    reply.hold('requests');
    if (access === 'anyone') return;
    if (access === 'operator') checkOperator(request);
    else checkTeam(request, access);
  });
  // Hooks that call back, since what an async one says ends with it. The second: a body arrives in the socket's turn, not the request's.
  const forItsTeam = ({ caller, operator }: FastifyRequest, _reply: FastifyReply, done: () => void) => {
    if (caller) asTeam(caller.teamId, done);
    else if (operator) asSystem(done);
    else done();
  };
  app.addHook('onRequest', forItsTeam);
  app.addHook('preValidation', forItsTeam);
});

const challenge = { 'www-authenticate': 'Bearer realm="graft"' };

/** A route that says nothing would be open to every key: the app does not start with it. */
function demandAccess({ method, url, config }: RouteOptions): void {
  if (config?.access) return;
  throw new Error(`${method} ${url} needs config.access: what it asks of its caller`);
}

function checkOperator({ operator }: FastifyRequest): void {
  if (operator) return;
  throw new ApiError(
    'operator_required',
    'This takes a key of the operator of the service, who makes one with `graft admin operator-keys create`.',
  );
}

function checkTeam(request: FastifyRequest, { scope, role = leastRole(request) }: TeamAccess): void {
  const { caller } = request;
  if (!caller) {
    throw new ApiError(
      'team_key_required',
      'This is a key of the operator, who reads no data of a team. An admin of the team makes keys with `graft team keys create`.',
    );
  }
  if (!hasRole(caller.role, role)) {
    throw new ApiError(
      'insufficient_role',
      `You have the role ${caller.role} in team ${caller.teamName}, and this takes ${role}. An admin of the team gives it: to a person with \`graft team members role\`, to a key with \`graft team keys create --role ${role}\`.`,
    );
  }
  checkScope(caller, scope);
}

/** Throws `insufficient_scope`. A route that takes one more than its own says so itself. */
export function checkScope({ scopes }: Identity, scope: Scope): void {
  if (allowsScope(scopes, scope)) return;
  throw new ApiError(
    'insufficient_scope',
    `This key has the scopes ${scopes?.join(', ') || '(none)'}, and this takes ${scope}. Make one that has it with \`graft team keys create --scopes ${scope}\`.`,
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
