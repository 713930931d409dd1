import helmet from '@fastify/helmet';
import fp from 'fastify-plugin';

/** Sets security headers for browsers. Without CORS headers no page of another origin may call the API. */
export const security = fp(async (app) => {
  await app.register(helmet, {
    // Responses are data. The one page, /docs, sets its own policy.
    contentSecurityPolicy: { directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
    crossOriginResourcePolicy: { policy: 'same-origin' },
    // Set by the proxy that terminates TLS in front of Graft.
    strictTransportSecurity: false,
  });
});
