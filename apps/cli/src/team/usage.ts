import type { UsageBucket, UsageParams, UsageResult } from '@graft/client';
import type { Command } from 'commander';
import { wholeNumber } from '../arguments.ts';
import { usageTable } from '../draw/usage-table.ts';
import { createOutput } from '../output.ts';
import { connect } from '../remote/connect.ts';
import { type RemoteOptions, verb } from '../verb.ts';

interface UsageOptions extends RemoteOptions {
  days: number;
  by?: string;
  csv?: boolean;
}

/** `graft usage`: the usage of the team. */
export function addUsageVerb(program: Command): void {
  verb(program, {
    name: 'usage',
    summary: 'show the daily usage and cost of your team, and its budget',
    examples: ['graft usage --days 30 --by model', 'graft usage --days 90 --by job_id --csv > usage.csv'],
    remote: true,
  })
    .option('--days <n>', 'number of days, including today', wholeNumber(1), 7)
    .option('--by <groups>', 'group by model, api_key_id, job_id or kind; several separated by commas')
    .option('--csv', 'print CSV')
    .action(async (options: UsageOptions) => {
      const output = createOutput(options);
      const client = await connect(options);
      const params: UsageParams = {
        start_time: Math.floor(Date.now() / 1000) - (options.days - 1) * 24 * 3600,
        limit: 31,
        ...(options.by === undefined ? {} : { group_by: options.by }),
      };
      if (options.csv) {
        for await (const text of client.usage.csv(params)) process.stdout.write(text);
        return;
      }
      const data: UsageBucket[] = [];
      for await (const day of client.usage.days(params)) data.push(day);
      const budget = await client.usage.budget().catch((error) => {
        if (error.code === 'budget_not_found') return null;
        throw error;
      });
      output.result({ object: 'list', data, budget }, () =>
        usageTable(
          data.flatMap(({ start_time, results }) => results.map((result) => ({ start_time, ...result }))),
          groupsOf(options.by),
          output.paint,
        ),
      );
      if (budget) {
        const until = new Date(budget.resets_at * 1000).toISOString().slice(0, 10);
        output.note(
          `Budget: ${budget.spent.toFixed(2)} of ${budget.monthly} spent this month, which ends on ${until}.`,
        );
      }
    });
}

/** The fields of a result that `--by` selects. */
const groupsOf = (by: string | undefined): (keyof UsageResult)[] =>
  (by?.split(',') ?? []) as (keyof UsageResult)[];
