import helmet from '@fastify/helmet';
import fp from 'fastify-plugin';

/** Response headers that browsers obey. Without headers of CORS no other origin may call the API from a page. */
export const security = fp(async (app) => {
  await app.register(helmet, {
    // Answers are data. The one page, /docs, sets its own policy.
    contentSecurityPolicy: { directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
    crossOriginResourcePolicy: { policy: 'same-origin' },
    // Set by whatever ends TLS in front of Graft.
    strictTransportSecurity: false,
  });
});
