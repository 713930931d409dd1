import { readBudget, repeat, watchBudgets } from '@graft/service';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { ApiError } from '../api-error.ts';

declare module 'fastify' {
  interface FastifyInstance {
    /** Throws `budget_exceeded` while the team of a request may begin nothing new, for its money of this month is spent. */
    checkBudget(teamId: string): Promise<void>;
  }
}

/** For so long what was found of a team is taken for true: what is begun meanwhile is spent beyond the budget. */
const freshMs = 2_000;
/** How often teams are looked at whether they are to be warned. */
const watchMs = 30_000;
/** Teams that are remembered; with more, those asked for longest ago are forgotten. */
const mostTeams = 1_000;

type Found = { at: number; refusal: Promise<ApiError | null> };

/** Budgets of teams: nothing new begins when one is spent, and its team is told. What runs goes on. */
export const budgets = fp(async (app) => {
  const { services } = app;
  const found = new Map<string, Found>();
  app.decorate('checkBudget', async (teamId: string) => {
    const now = performance.now();
    let entry = found.get(teamId);
    if (!entry || now - entry.at > freshMs) {
      // Asked once, however many wait for it: a sum over a month costs more than what else a request asks.
      entry = { at: now, refusal: findRefusal(services, teamId) };
      found.delete(teamId);
      found.set(teamId, entry);
      if (found.size > mostTeams) found.delete(found.keys().next().value!);
    }
    try {
      const refusal = await entry.refusal;
      if (refusal) throw refusal;
    } catch (error) {
      if (!(error instanceof ApiError) && found.get(teamId) === entry) found.delete(teamId);
      throw error;
    }
  });
  const watch = repeat(
    'watch-budgets',
    watchMs,
    async (stopping) => void (await watchBudgets(services, stopping)),
    services.log,
  );
  app.addHook('onClose', async () => await watch.stop());
});

async function findRefusal(services: FastifyInstance['services'], teamId: string): Promise<ApiError | null> {
  const budget = await readBudget(services, teamId);
  if (!budget?.stops || budget.state !== 'exceeded') return null;
  const { monthly, spent, resetsAt } = budget;
  const seconds = Math.max(1, Math.ceil((resetsAt.getTime() - Date.now()) / 1000));
  return new ApiError(
    'budget_exceeded',
    `This team's budget is ${money(monthly)} a month, and ${money(spent)} is spent: nothing new begins until ${resetsAt.toISOString()}, or until the operator raises it. What runs goes on.`,
    // A client that waits for the next month by itself would seem to hang.
    { headers: { 'retry-after': String(seconds), 'x-should-retry': 'false' } },
  );
}

/** As many digits as tell it from another amount. */
const money = (amount: number): string => String(Number(amount.toPrecision(8)));
