import { type Identity, verifyApiKey } from '@graft/service';
import type { FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { ApiError } from '../api-error.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks. The team comes from the key, never from the request. */
    caller: Identity;
  }
}

/** Demands a valid `Authorization: Bearer` key of every route in the scope that it is registered in. */
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
    if (!isReading(request) && caller.role === 'viewer') {
      throw new ApiError('insufficient_role', 'This API key may only read.');
    }
  });
});

const challenge = { 'www-authenticate': 'Bearer realm="graft"' };

function isReading(request: FastifyRequest): boolean {
  return request.method === 'GET' || request.method === 'HEAD';
}
