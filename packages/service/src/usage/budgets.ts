/** Monthly budgets of teams: set by the operator; Graft warns at and enforces them. */
import { GraftError } from '@graft/peft-core/config';
import { type Actor, graftItself } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import { type Database, databaseTime } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { runExclusive } from '../database/run-exclusive.ts';
import { enqueueOutboxEvent } from '../webhooks/enqueue-outbox-event.ts';
import { readCost } from './read-usage.ts';
import { monthOf } from './usage.ts';

export interface BudgetSettings {
  /** Amount per calendar month (UTC), in the currency of the prices. */
  monthly: number;
  /** Share of the budget at which the team is warned; 0 to 1. */
  warnAt: number;
  /** True where no new work starts once the budget is spent. */
  stops: boolean;
}

export interface Budget extends BudgetSettings {
  /** Amount spent this month. */
  spent: number;
  state: 'within' | 'warning' | 'exceeded';
  start: Date;
  /** When the next month and its new budget start. */
  resetsAt: Date;
}

export const defaultBudget = { warnAt: 0.8, stops: true };

/** Null if the team has no budget, and so no limit. */
export async function readBudget(db: Database, teamId: string): Promise<Budget | null> {
  const row = await db.db.teamBudget.findFirst({ where: { teamId } });
  if (!row) return null;
  const now = await databaseTime(db);
  const [start, resetsAt] = [monthOf(now), monthOf(now, 1)];
  const spent = await readCost(db, teamId, { start, end: resetsAt });
  const { warnAt, stops } = row;
  const monthly = Number(row.monthly);
  const state = spent >= monthly ? 'exceeded' : spent >= monthly * warnAt ? 'warning' : 'within';
  return { monthly, warnAt, stops, spent, state, start, resetsAt };
}

/** Sets a team's budget; notices of the previous budget may be sent again. Null if no such team. Throws GraftError `invalid_budget`. */
export async function setBudget(
  db: Database,
  teamId: string,
  { monthly, warnAt, stops }: BudgetSettings,
  by: Actor | null,
): Promise<Budget | null> {
  if (!Number.isFinite(monthly) || monthly < 0 || monthly >= 1e12) {
    throw new GraftError('invalid_budget', 'A budget is at least 0 and below 1,000,000,000,000.', {
      param: 'monthly',
    });
  }
  if (!(warnAt > 0 && warnAt <= 1)) {
    throw new GraftError('invalid_budget', 'warn_at is a share of the budget, above 0 and at most 1.', {
      param: 'warn_at',
    });
  }
  const isSet = await inTransaction(db, async (tx) => {
    if ((await tx.team.count({ where: { id: teamId, deletedAt: null } })) === 0) return false;
    await tx.$executeRaw`
      INSERT INTO team_budgets (team_id, monthly, warn_at, stops) VALUES (${teamId}, ${monthly}, ${warnAt}, ${stops})
      ON CONFLICT (team_id) DO UPDATE SET monthly = excluded.monthly, warn_at = excluded.warn_at, stops = excluded.stops,
        updated_at = now()`;
    await tx.budgetNotice.deleteMany({ where: { teamId } });
    const detail = { monthly, warn_at: warnAt, stops };
    await insertAudit(tx, teamId, by, { action: 'budget.set', target: teamId, detail });
    return true;
  });
  return isSet ? await readBudget(db, teamId) : null;
}

/** Removes a team's budget. False if the team has none. */
export async function removeBudget(db: Database, teamId: string, by: Actor | null): Promise<boolean> {
  return await inTransaction(db, async (tx) => {
    const { count } = await tx.teamBudget.deleteMany({ where: { teamId } });
    if (count === 0) return false;
    await tx.budgetNotice.deleteMany({ where: { teamId } });
    await insertAudit(tx, teamId, by, { action: 'budget.remove', target: teamId });
    return true;
  });
}

/**
 * Notifies teams whose budget is nearly or fully spent: an event and an audit row per level, once per month and budget. Every process may
 * call it; one at a time does the work. Returns the number of notices.
 */
export async function watchBudgets(db: Database, stopping?: AbortSignal): Promise<number> {
  const turn = await runExclusive(db, 'watch-budgets', async () => {
    const teams = await db.db.teamBudget.findMany({
      where: { team: { deletedAt: null } },
      select: { teamId: true },
      orderBy: { teamId: 'asc' },
    });
    let noticeCount = 0;
    for (const { teamId } of teams) {
      if (stopping?.aborted) break;
      const budget = await readBudget(db, teamId);
      if (budget && budget.state !== 'within' && (await sendNotice(db, teamId, budget, budget.state)))
        noticeCount += 1;
    }
    return noticeCount;
  });
  return turn.ran ? turn.result : 0;
}

async function sendNotice(
  db: Database,
  teamId: string,
  budget: Budget,
  level: 'warning' | 'exceeded',
): Promise<boolean> {
  return await inTransaction(db, async (tx) => {
    const { count } = await tx.budgetNotice.createMany({
      data: { teamId, month: budget.start, level },
      skipDuplicates: true,
    });
    if (count === 0) return false;
    await enqueueOutboxEvent(tx, { teamId, id: teamId }, `budget.${level}`);
    const { monthly, spent, stops } = budget;
    const detail = { monthly, spent, stops, resets_at: budget.resetsAt.toISOString() };
    await insertAudit(tx, teamId, graftItself, { action: `budget.${level}`, target: teamId, detail });
    return true;
  });
}
