import { asTeam, type Identity, type Role, verifyApiKey } from '@graft/service';
import type { FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { ApiError } from '../api-error.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
  }
  interface FastifyRequest {
    /** Who asks. The team comes from the key, never from the request. */
    caller: Identity;
  }
}

/** What a route asks of its caller. Default: any role for reading, member for the rest. */
export interface Access {
  /** The kind of thing that it reads or writes, as scopes of keys name it: `webhooks:write`. */
  scope: `${string}:${'read' | 'write'}`;
  /** The least role. */
  role?: Role;
}

const ranks: readonly Role[] = ['viewer', 'member', 'admin'];

/**
 * Demands a valid `Authorization: Bearer` key of every route in the scope that it is registered in. What follows runs for the
 * caller's team, so that Postgres shows it no other's rows.
 */
export const auth = fp(async (app) => {
  app.decorateRequest('caller', null as unknown as Identity);
  app.addHook('onRequest', async (request, reply) => {
    const header = request.headers.authorization;
    if (!header) {
      throw new ApiError('missing_api_key', 'Send your API key as "Authorization: Bearer graft_…".', {
        headers: challenge,
      });
    }
    // Who it is, is not known yet; a header is its sender's.
    const caller = await app.turns.run(header, () => verifyApiKey(app.services, header));
    if (!caller) {
      throw new ApiError('invalid_api_key', 'The API key is wrong or was revoked.', { headers: challenge });
    }
    request.caller = caller;
    reply.hold('requests');
    const { role = isReading(request) ? 'viewer' : 'member' } = request.routeOptions.config.access ?? {};
    if (ranks.indexOf(caller.role) < ranks.indexOf(role)) {
      const may =
        caller.role === 'viewer' ? 'may only read' : `has the role ${caller.role}, this takes ${role}`;
      throw new ApiError('insufficient_role', `This API key ${may}.`);
    }
  });
  // Hooks that call back, since what an async one says ends with it. The second: a body arrives in the socket's turn, not the request's.
  const forItsTeam = (request: FastifyRequest, _reply: FastifyReply, done: () => void) =>
    void asTeam(request.caller.teamId, done);
  app.addHook('onRequest', forItsTeam);
  app.addHook('preValidation', forItsTeam);
});

const challenge = { 'www-authenticate': 'Bearer realm="graft"' };

function isReading(request: FastifyRequest): boolean {
  return request.method === 'GET' || request.method === 'HEAD';
}
