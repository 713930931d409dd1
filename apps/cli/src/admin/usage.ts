import type { UsageKind, UsageParams, UsageResult } from '@graft/client';
import { type Command, InvalidArgumentError } from 'commander';
import { anyNumber, wholeNumber } from '../arguments.ts';
import { timestamp } from '../draw/quantities.ts';
import { usageTable } from '../draw/usage-table.ts';
import { noun, type RemoteOptions, verb } from '../verb.ts';
import { listed } from './answer.ts';
import { existingTeam } from './existing-team.ts';
import { found, given, overApi } from './over-api.ts';

/** `graft admin usage show`, and prices. */
export function addUsageVerbs(admin: Command): void {
  const usage = noun(admin, 'usage', 'usage by team; check the ledger');

  verb(usage, {
    name: 'show',
    summary: 'what each team used by the day, and what it cost',
    examples: ['graft admin usage show --days 30', 'graft admin usage show --team research --by model'],
    remote: 'operator',
  })
    .option('--team <team>', 'of this team alone')
    .option('--days <n>', 'number of days, including today', wholeNumber(1), 7)
    .option('--by <groups>', 'group by some of model, api_key_id, kind, with commas between', groups)
    .action(
      overApi(async ({ admin }, { team, days, by }: ShowOptions) => {
        const params: UsageParams = {
          start_time: Math.floor(Date.now() / 1000) - (days - 1) * 24 * 3600,
          limit: 31,
          ...given({ group_by: by?.join(','), team_id: team && (await existingTeam(admin, team)).id }),
        };
        const data: (UsageResult & { start_time: number })[] = [];
        for await (const { start_time, results } of admin.usage.days(params))
          data.push(...results.map((result) => ({ ...result, start_time })));
        return {
          value: { object: 'list', data },
          text: (paint) => usageTable(data, ['team_id', ...(by ?? [])], paint),
        };
      }),
    );

  const prices = noun(admin, 'prices', 'list, set, remove what units cost');

  verb(prices, {
    name: 'list',
    summary: 'list prices, the newest first',
    examples: ['graft admin prices list'],
    remote: 'operator',
  }).action(
    overApi(({ admin }) =>
      listed(
        admin.prices.list({ limit: 100 }),
        {
          ID: ({ id }) => id,
          KIND: ({ kind }) => kind,
          MODEL: ({ model }) => model,
          PRICE: ({ price }) => String(price),
          OF: ({ unit }) => unit,
          FROM: (price) => timestamp(price.valid_from),
        },
        'No prices: everything costs 0. Set one with: graft admin prices set KIND PRICE',
      ),
    ),
  );

  verb(prices, {
    name: 'set <kind> <price>',
    summary: 'set what a unit costs: a million tokens, an hour of a device, a GiB for a day',
    examples: [
      'graft admin prices set trained_tokens 2.50',
      'graft admin prices set device_seconds 1.20 --model smollm2-135m-instruct --from 2027-01-01T00:00:00Z',
    ],
    remote: 'operator',
  })
    .option('--model <id>', 'a base model that has a separate price (default: all that have none)')
    .option(
      '--from <time>',
      'since when, such as 2027-01-01T00:00:00Z (default: now; of stored_bytes today)',
      moment,
    )
    .action(
      overApi(async ({ admin }, { model, from: valid_from }: SetOptions, kind: string, price: string) => {
        const more = given({ model, valid_from });
        const made = await admin.prices.set({ kind: kind as UsageKind, price: anyNumber(price), ...more });
        const from = new Date(made.valid_from * 1000).toISOString();
        return { value: made, text: `${made.kind} of ${made.model} costs ${made.price} from ${from}.` };
      }),
    );

  verb(prices, {
    name: 'remove <id>',
    summary: 'remove a price: for its time the one before it is valid again',
    examples: ['graft admin prices remove price-…'],
    remote: 'operator',
  }).action(
    overApi(async ({ admin }, _options: RemoteOptions, id: string) => ({
      value: await found(
        admin.prices.remove(id),
        `There is no price ${id}. \`graft admin prices list\` shows them.`,
      ),
      text: `Removed ${id}.`,
    })),
  );
}

const groupNames = ['model', 'api_key_id', 'kind'] as const;
type Group = (typeof groupNames)[number];

function groups(text: string): Group[] {
  const names = text.split(',') as Group[];
  if (names.every((name) => groupNames.includes(name))) return names;
  throw new InvalidArgumentError(`Groups are ${groupNames.join(', ')}.`);
}

/** Unix seconds. */
function moment(text: string): number {
  const time = Date.parse(text);
  if (Number.isNaN(time)) throw new InvalidArgumentError('It must be a time such as 2027-01-01T00:00:00Z.');
  return Math.floor(time / 1000);
}

interface ShowOptions extends RemoteOptions {
  team?: string;
  days: number;
  by?: Group[];
}

interface SetOptions extends RemoteOptions {
  model?: string;
  from?: number;
}
