import type { ModelLimit } from '@graft/service';
import fp from 'fastify-plugin';
import { checkModels, notAllowed, type Touched } from './check-models.ts';
import { useOf } from './model-uses.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** What the caller's key is limited to, for a route that answers, of many models, those within it. */
    modelLimit(): ModelLimit;
    /** Throws `model_not_allowed`: for a route that learns only from the body what it touches. */
    checkModels(touched: readonly Touched[]): void;
    keepsToLimit: boolean;
  }
}

/**
 * Refuses a key limited to some models where a request touches others, by the `config.access.models` of its route: the only place that
 * decides it. Of a route that has to look itself, an answer is not sent unless it has looked.
 */
export const modelAccess = fp(async (app) => {
  app.decorateRequest('keepsToLimit', false);
  app.decorateRequest('modelLimit', function () {
    this.keepsToLimit = true;
    return this.caller.models;
  });
  app.decorateRequest('checkModels', function (touched) {
    this.keepsToLimit = true;
    checkModels(this.caller, touched);
  });

  app.addHook('preHandler', async (request) => {
    const { access } = request.routeOptions.config;
    if (typeof access !== 'object' || request.caller.models === null) return;
    const limit = request.caller.models;
    if (access.models === 'all') throw notAllowed(limit, 'this is about all models of the team', null);
    const touched = await useOf(access.models).find?.(app.services, request, limit);
    if (touched) checkModels(request.caller, touched);
  });

  app.addHook('onSend', async (request, reply) => {
    const { access } = request.routeOptions.config;
    if (typeof access !== 'object' || !request.caller?.models || reply.statusCode >= 300) return;
    if (useOf(access.models).byRoute && !request.keepsToLimit) {
      const { method, url } = request.routeOptions;
      throw new Error(`${method} ${url} did not keep to the models that a key is limited to`);
    }
  });
});
