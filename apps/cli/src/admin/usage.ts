import type { UsageKind, UsageResult } from '@graft/client';
import { type Command, InvalidArgumentError } from 'commander';
import { type Answer, time } from '../answer.ts';
import { usageTable } from '../draw/usage-table.ts';
import { anyNumber, given, unixTime, wholeNumber } from '../options/arguments.ts';
import { found, listVerb, serviceVerb } from '../remote/service-verb.ts';
import { lastDays } from '../team/usage.ts';
import { noun } from '../verb.ts';
import { existingTeam } from './existing.ts';

/** `graft admin usage show` and `graft admin prices …`. */
export function addUsageVerbs(admin: Command): void {
  const usage = noun(admin, 'usage', 'usage of teams: show');

  const shows = 'show the daily usage and cost of each team';
  serviceVerb(usage, 'show', shows, '--days 30', '--team research --by model')
    .option('--team <team>', 'only this team: id or name')
    .option('--days <n>', 'number of days, including today', wholeNumber(1), 7)
    .option('--by <groups>', 'group by model, api_key_id or kind; several separated by commas', groups)
    .run(async ({ admin }, { team, days, by = [] }: { team?: string; days: number; by?: Group[] }) => {
      const team_id = team === undefined ? undefined : (await existingTeam(admin, team)).id;
      const filter = given({ team_id, group_by: by.join(',') || undefined });
      const data: (UsageResult & { start_time: number })[] = [];
      for await (const day of admin.usage.days({ ...lastDays(days), ...filter }))
        for (const result of day.results) data.push({ ...result, start_time: day.start_time });
      const text: Answer['text'] = (paint) => usageTable(data, ['team_id', ...by], paint);
      return { value: { object: 'list', data }, text };
    });

  const prices = noun(admin, 'prices', 'prices of usage: list, set, remove');
  listVerb(prices, ({ admin }) => admin.prices.list({ limit: 100 }), {
    summary: 'list prices, newest first',
    columns: {
      ID: 'id',
      KIND: 'kind',
      MODEL: 'model',
      PRICE: 'price',
      OF: 'unit',
      FROM: (price) => time(price.valid_from),
    },
    empty: 'No prices: everything costs 0. Set one with: graft admin prices set KIND PRICE',
  });

  const sets = 'set a price: for a million tokens, an hour of a device, or a GiB for a day';
  const withAll = 'device_seconds 1.20 --model smollm2-135m-instruct --from 2027-01-01T00:00:00Z';
  serviceVerb(prices, 'set <kind> <price>', sets, 'trained_tokens 2.50', withAll)
    .option('--model <id>', 'only for this base model (default: all without a separate price)')
    .option(
      '--from <time>',
      'start time, such as 2027-01-01T00:00:00Z (default: now; for stored_bytes today)',
      unixTime,
    )
    .run(async ({ admin }, kind: string, price: string, options: { model?: string; from?: number }) => {
      const { model, from: valid_from } = options;
      const more = { price: anyNumber(price), ...given({ model, valid_from }) };
      const made = await admin.prices.set({ kind: kind as UsageKind, ...more });
      const from = new Date(made.valid_from * 1000).toISOString();
      return { value: made, text: `${made.kind} of ${made.model} costs ${made.price} from ${from}.` };
    });

  const removes = 'remove a price; the one before it becomes valid again for its time';
  serviceVerb(prices, 'remove <id>', removes, 'price-…').run(async ({ admin }, id: string) => {
    const absent = `There is no price ${id}. \`graft admin prices list\` shows them.`;
    return { value: await found(admin.prices.remove(id), absent), text: `Removed ${id}.` };
  });
}

const groupNames = ['model', 'api_key_id', 'kind'] as const;
type Group = (typeof groupNames)[number];

function groups(text: string): Group[] {
  const names = text.split(',') as Group[];
  if (names.every((name) => groupNames.includes(name))) return names;
  throw new InvalidArgumentError(`It must list one or more of ${groupNames.join(', ')}.`);
}
