import { randomBytes } from 'node:crypto';
import fp from 'fastify-plugin';

/** Creates a request id. A client's own id is not used, since it may be neither unique nor a single line. */
export function newRequestId(): string {
  return `req_${randomBytes(12).toString('hex')}`;
}

/** Writes one log line per request, from an allow-list of fields, and sets `x-request-id` on every response. */
export const requestLog = fp(async (app) => {
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
  });
  app.addHook('onResponse', async (request, reply) => {
    request.log.info(
      {
        method: request.method,
        // Not the URL itself: model ids and queries may reveal what a team works on.
        route: request.routeOptions.url ?? null,
        statusCode: reply.statusCode,
        ms: Math.round(reply.elapsedTime),
        // The client's address, as far as GRAFT_TRUST_PROXY allows it to be determined.
        address: request.ip,
        teamId: request.caller?.teamId,
        keyId: request.caller?.keyId ?? request.operator?.keyId,
        personId: request.caller?.personId ?? request.operator?.personId,
      },
      'request',
    );
  });
});
