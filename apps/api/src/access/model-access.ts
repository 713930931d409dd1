import type { ModelAlias } from '@graft/service/adapters';
import type { ModelLimit } from '@graft/service/keys';
import fp from 'fastify-plugin';
import { checkModels, notAllowed, type Touched } from './check-models.ts';
import { replaceAlias, useOf } from './model-uses.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The caller's model limit, for routes that return only the models within it. */
    modelLimit(): ModelLimit;
    /** Throws `model_not_allowed`. For routes that know the models in use only once they read the body. */
    checkModels(touched: readonly Touched[]): void;
    keepsToLimit: boolean;
    /** The alias that the request named as its model; everything else reads the model that it points at. */
    modelAlias: ModelAlias | null;
  }
}

/**
 * Resolves the alias that a request names, and refuses a request that uses models outside the limit of the caller's key, by `config.access.models` of the route. No other code decides
 * this. A route that must check the limit itself fails if it responds without checking.
 */
export const modelAccess = fp(async (app) => {
  app.decorateRequest('keepsToLimit', false);
  app.decorateRequest('modelAlias', null);
  app.decorateRequest('modelLimit', function () {
    this.keepsToLimit = true;
    return this.caller.models;
  });
  app.decorateRequest('checkModels', function (touched) {
    this.keepsToLimit = true;
    checkModels(this.caller, touched, this.modelAlias);
  });

  app.addHook('preHandler', async (request) => {
    const { access } = request.routeOptions.config;
    if (typeof access !== 'object') return;
    // Before the check, so that it is about the model that the alias points at.
    if (useOf(access.models).aliases) request.modelAlias = await replaceAlias(app.services, request);
    if (request.caller.models === null) return;
    const limit = request.caller.models;
    if (access.models === 'all') throw notAllowed(limit, 'this is about all models of the team', null);
    const touched = await useOf(access.models).find?.(app.services, request, limit);
    if (touched) checkModels(request.caller, touched, request.modelAlias);
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
