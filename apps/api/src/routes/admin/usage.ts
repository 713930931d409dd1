import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { findTeam } from '@graft/service/teams';
import {
  defaultBudget,
  listPrices,
  readBudget,
  readUsage,
  removeBudget,
  removePrice,
  setBudget,
  setPrice,
} from '@graft/service/usage';
import { listOf } from '@graft/wire/list';
import { ref } from '@graft/wire/schema';
import { TeamParams } from '@graft/wire/team';
import {
  AdminUsageQuery,
  BudgetSchema,
  DeletedBudgetSchema,
  DeletedPriceSchema,
  ListPricesQuery,
  PriceParams,
  PriceSchema,
  SetBudgetSchema,
  SetPriceSchema,
  UsagePageSchema,
} from '@graft/wire/usage';
import { toDate, toWireList } from '../../answers/list.ts';
import { toWireBudget, toWirePrice } from '../../answers/usage.ts';
import { found } from '../../not-found.ts';
import { answerUsage, budgetNotFound } from '../usage/usage.ts';
import { operation } from './operation.ts';

/** /admin/usage, /admin/prices and budgets of teams: usage and costs. Shows nothing else of a team. */
export const adminUsageRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  app.get(
    '/admin/usage',
    operation('Get the daily usage of all teams', ref(UsagePageSchema), {
      description: 'Includes deleted teams. Returns JSON or CSV.',
      querystring: AdminUsageQuery,
      produces: ['text/csv'],
    }),
    async (request, reply) =>
      await answerUsage(
        request,
        reply,
        request.query,
        (query) => readUsage(services, null, { ...query, onlyTeam: request.query.team_id }),
        ['team'],
      ),
  );

  app.get(
    '/admin/prices',
    operation('List prices', listOf(PriceSchema), {
      description: 'Newest first.',
      querystring: ListPricesQuery,
    }),
    async ({ query }) => toWireList(await listPrices(services, query), toWirePrice),
  );

  app.post(
    '/admin/prices',
    operation('Set a price', ref(PriceSchema), {
      description:
        'Replaces a price of the same kind, model and start. The cost of earlier usage does not change.',
      body: ref(SetPriceSchema),
    }),
    async ({ operator, body: { kind, model, price, valid_from } }) => {
      const validFrom = toDate(valid_from);
      return toWirePrice(await setPrice(services, { kind, model, price, validFrom }, operator));
    },
  );

  app.delete(
    '/admin/prices/:price_id',
    operation('Delete a price', ref(DeletedPriceSchema), {
      description: 'The previous price applies again for the time of the deleted one.',
      params: PriceParams,
    }),
    async ({ operator, params: { price_id: id } }) => {
      found(await removePrice(services, id, operator), 'price', id);
      return { id, object: 'usage.price' as const, deleted: true as const };
    },
  );

  /** Returns the id of an existing team. Throws `team_not_found`. */
  async function known(id: string): Promise<string> {
    return found((await findTeam(services, id))?.id === id && id, 'team', id);
  }

  app.get(
    '/admin/teams/:team_id/budget',
    operation("Get a team's budget", ref(BudgetSchema), { params: TeamParams }),
    async ({ params }) => {
      const id = await known(params.team_id);
      const budget = await readBudget(services, id);
      if (!budget) throw budgetNotFound();
      return toWireBudget(id, budget);
    },
  );

  app.post(
    '/admin/teams/:team_id/budget',
    operation("Set a team's budget", ref(BudgetSchema), {
      description: 'Takes effect within seconds, for the current month, too.',
      params: TeamParams,
      body: ref(SetBudgetSchema),
    }),
    async ({ operator, params: { team_id }, body: { monthly, warn_at, stops } }) => {
      const settings = {
        monthly,
        warnAt: warn_at ?? defaultBudget.warnAt,
        stops: stops ?? defaultBudget.stops,
      };
      const budget = await setBudget(services, team_id, settings, operator);
      return toWireBudget(team_id, found(budget, 'team', team_id));
    },
  );

  app.delete(
    '/admin/teams/:team_id/budget',
    operation("Delete a team's budget", ref(DeletedBudgetSchema), { params: TeamParams }),
    async ({ operator, params }) => {
      const team_id = await known(params.team_id);
      if (!(await removeBudget(services, team_id, operator))) throw budgetNotFound();
      return { team_id, object: 'budget' as const, deleted: true as const };
    },
  );
};
