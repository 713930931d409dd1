import type { Budget, UsageBucket, UsageResult } from '@graft/client';
import type { Command } from 'commander';
import { usageTable } from '../draw/usage-table.ts';
import { given, wholeNumber } from '../options/arguments.ts';
import { serviceVerb } from '../remote/service-verb.ts';

interface UsageOptions {
  days: number;
  by?: string;
  csv?: boolean;
}

export function addUsageVerb(program: Command): void {
  const shows = 'show the daily usage and cost of your team, and its budget';
  const group = 'group by model, api_key_id, job_id or kind; several separated by commas';
  serviceVerb(program, 'usage', shows, '--days 30 --by model', '--days 90 --by job_id --csv > usage.csv')
    .option('--days <n>', 'number of days, including today', wholeNumber(1), 7)
    .option('--by <groups>', group)
    .option('--csv', 'print CSV')
    .run(async ({ usage }, { days, by: group_by, csv }: UsageOptions) => {
      const params = { ...lastDays(days), ...given({ group_by }) };
      if (csv) {
        for await (const text of usage.csv(params)) process.stdout.write(text);
        return null;
      }
      const data: UsageBucket[] = [];
      for await (const day of usage.days(params)) data.push(day);
      const budget = await ifBudgeted(usage.budget());
      const rows = data.flatMap(({ start_time, results }) =>
        results.map((result) => ({ start_time, ...result })),
      );
      // The service has checked the names of the groups.
      const groups = (group_by?.split(',') ?? []) as (keyof UsageResult)[];
      return {
        value: { object: 'list', data, budget },
        text: (paint) => usageTable(rows, groups, paint),
        note: budget
          ? `Budget: ${budget.spent.toFixed(2)} of ${budget.monthly} spent this month, which ends on ${new Date(budget.resets_at * 1000).toISOString().slice(0, 10)}.`
          : undefined,
      };
    });
}

/** The parameters for this many days, including today, in pages of 31. */
export const lastDays = (days: number) => {
  return { start_time: Math.floor(Date.now() / 1000) - (days - 1) * 24 * 3600, limit: 31 };
};

/** A budget; null where the operator has set none. */
export const ifBudgeted = <T = Budget>(budget: Promise<T>): Promise<T | null> =>
  budget.catch((error) => {
    if (error.code === 'budget_not_found') return null;
    throw error;
  });
