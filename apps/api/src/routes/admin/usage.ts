import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import {
  defaultBudget,
  findTeam,
  listPrices,
  readBudget,
  readUsage,
  removeBudget,
  removePrice,
  setBudget,
  setPrice,
} from '@graft/service';
import { found } from '../../not-found.ts';
import { listOf, toWireList } from '../../schemas/list.ts';
import { ref, toDate } from '../../schemas/schema.ts';
import { TeamParams } from '../../schemas/team.ts';
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
  toWireBudget,
  toWirePrice,
  UsagePageSchema,
} from '../../schemas/usage.ts';
import { answerUsage, budgetNotFound } from '../usage/usage.ts';
import { operation } from './operation.ts';

/** /admin/usage, /admin/prices and budgets of teams: usage and costs. Shows nothing else of a team. */
export const adminUsageRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  app.get(
    '/admin/usage',
    operation('What each team used, by the day', ref(UsagePageSchema), {
      description: 'Teams that were deleted, too. JSON or CSV.',
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
    operation('Set what a unit costs from a time on', ref(PriceSchema), {
      description:
        'One of the same kind, model and time is replaced. What was used before costs what it did.',
      body: ref(SetPriceSchema),
    }),
    async ({ operator, body: { kind, model, price, valid_from } }) => {
      const validFrom = toDate(valid_from);
      return toWirePrice(await setPrice(services, { kind, model, price, validFrom }, operator));
    },
  );

  app.delete(
    '/admin/prices/:price_id',
    operation('Remove a price', ref(DeletedPriceSchema), {
      description: 'For its time the one before it is valid again.',
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
      description: 'It takes effect within seconds, and for the month under way.',
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
    operation("Remove a team's budget", ref(DeletedBudgetSchema), { params: TeamParams }),
    async ({ operator, params }) => {
      const team_id = await known(params.team_id);
      if (!(await removeBudget(services, team_id, operator))) throw budgetNotFound();
      return { team_id, object: 'budget' as const, deleted: true as const };
    },
  );
};
