import { readBudget } from '@graft/service/usage';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { ApiError } from '../api-error.ts';

declare module 'fastify' {
  interface FastifyInstance {
    /** Throws `budget_exceeded` if the request's team may start nothing new, because its budget of this month is spent. */
    checkBudget(teamId: string): Promise<void>;
  }
}

/** How long a result is cached. What starts meanwhile may exceed the budget. */
const freshMs = 2_000;
/** Maximum number of cached teams; beyond that, the oldest entries are dropped. */
const maxTeams = 1_000;

type Found = { at: number; refusal: Promise<ApiError | null> };

/** Enforces the budgets of teams: when one is spent, nothing new starts and the team is notified. Running work continues. */
export const budgets = fp(async (app) => {
  const { services } = app;
  const found = new Map<string, Found>();
  app.decorate('checkBudget', async (teamId: string) => {
    const now = performance.now();
    let entry = found.get(teamId);
    if (!entry || now - entry.at > freshMs) {
      // Queried once for all concurrent requests: a total over a month costs more than the rest of a request.
      entry = { at: now, refusal: findRefusal(services, teamId) };
      found.delete(teamId);
      found.set(teamId, entry);
      if (found.size > maxTeams) found.delete(found.keys().next().value!);
    }
    try {
      const refusal = await entry.refusal;
      if (refusal) throw refusal;
    } catch (error) {
      if (!(error instanceof ApiError) && found.get(teamId) === entry) found.delete(teamId);
      throw error;
    }
  });
});

async function findRefusal(services: FastifyInstance['services'], teamId: string): Promise<ApiError | null> {
  const budget = await readBudget(services, teamId);
  if (!budget?.stops || budget.state !== 'exceeded') return null;
  const { monthly, spent, resetsAt } = budget;
  const seconds = Math.max(1, Math.ceil((resetsAt.getTime() - Date.now()) / 1000));
  return new ApiError(
    'budget_exceeded',
    `This team's budget is ${money(monthly)} a month, and ${money(spent)} is spent: nothing new starts until ${resetsAt.toISOString()}, or until the operator raises it. Running work continues.`,
    // Waiting for the next month automatically would look like a hang.
    { headers: { 'retry-after': String(seconds), 'x-should-retry': 'false' } },
  );
}

/** An amount with at most 8 significant digits. */
const money = (amount: number): string => String(Number(amount.toPrecision(8)));
