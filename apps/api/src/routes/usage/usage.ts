import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { readBudget, readUsage } from '@graft/service/usage';
import type { UsageGroup } from '@graft/wire/lists';
import { ref } from '@graft/wire/schema';
import { BudgetSchema, UsagePageSchema, UsageQuery } from '@graft/wire/usage';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import { toDate } from '../../answers/list.ts';
import { groupsOf, toCsv, toWireBudget, toWireUsage } from '../../answers/usage.ts';
import { ApiError } from '../../api-error.ts';
import { operations } from '../operation.ts';

const operation = operations('Usage');
const config = { access: { scope: 'usage:read', models: 'all' } } as const;

/** /usage: a team's usage by day, in the format of OpenAI's usage API. docs/usage.md describes what is counted when. */
export const usageRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  app.get(
    '/usage',
    operation(config, 'Get the daily usage of your team', ref(UsagePageSchema), {
      description:
        'Returns trained tokens, device seconds, tokens of completions and stored bytes, with their cost, as JSON or CSV.',
      querystring: UsageQuery,
      produces: ['text/csv'],
    }),
    async (request, reply) =>
      await answerUsage(request, reply, request.query, (query) =>
        readUsage(services, request.caller.teamId, query),
      ),
  );

  app.get(
    '/usage/budget',
    operation(config, 'Get the budget of your team', ref(BudgetSchema), {
      errors: [404],
      description:
        'Returns the budget for this month and the amount spent. 404 `budget_not_found` if the operator has set none.',
    }),
    async ({ caller: { teamId } }) => {
      const budget = await readBudget(services, teamId);
      if (!budget) throw budgetNotFound();
      return toWireBudget(teamId, budget);
    },
  );
};

type Query = Omit<Static<typeof UsageQuery>, 'group_by'> & { group_by?: string };

/** Responds with one page as JSON or CSV. `always`: groups added to the requested ones. */
export async function answerUsage(
  request: FastifyRequest,
  reply: FastifyReply,
  query: Query,
  read: (query: Parameters<typeof readUsage>[2]) => ReturnType<typeof readUsage>,
  always: readonly UsageGroup[] = [],
): Promise<Static<typeof UsagePageSchema>> {
  const page = toWireUsage(
    await read({
      start: new Date(query.start_time * 1000),
      end: toDate(query.end_time) ?? new Date(),
      groupBy: [...always, ...groupsOf(query.group_by)],
      days: query.limit,
      page: query.page,
    }),
  );
  reply.header('vary', 'accept');
  const wantsCsv =
    query.format === undefined ? /\btext\/csv\b/i.test(request.headers.accept ?? '') : query.format === 'csv';
  if (!wantsCsv) return page;
  if (page.next_page !== null) reply.header('x-next-page', page.next_page);
  // Fastify sends a string unchanged, whatever the JSON schema.
  reply.type('text/csv; charset=utf-8').header('content-disposition', 'attachment; filename="usage.csv"');
  return toCsv(page) as unknown as Static<typeof UsagePageSchema>;
}

export function budgetNotFound(): ApiError {
  return new ApiError('budget_not_found', 'The team has no budget, so its spending is not limited.');
}
