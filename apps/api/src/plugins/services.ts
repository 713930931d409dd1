import type { Services } from '@graft/service';
import fp from 'fastify-plugin';

declare module 'fastify' {
  interface FastifyInstance {
    services: Services;
  }
}

/** Lends the services to every route as `app.services`. Whoever opened them closes them, after the app. */
export const services = fp<{ services: Services }>(async (app, options) => {
  app.decorate('services', options.services);
});
