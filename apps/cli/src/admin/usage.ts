import type { DayUse, UsageGroup, UsageKind, UsagePage, UsagePrice } from '@graft/service';
import { type Command, InvalidArgumentError } from 'commander';
import { anyNumber, wholeNumber } from '../arguments.ts';
import { timestamp } from '../draw/quantities.ts';
import { table } from '../draw/table.ts';
import { usageTable } from '../draw/usage-table.ts';
import { CommandError } from '../errors.ts';
import { createOutput } from '../output.ts';
import { noun, type VerbOptions, verb } from '../verb.ts';
import { existingTeam } from './existing-team.ts';
import { unixSeconds, withServices } from './with-services.ts';

type Group = 'model' | 'api_key_id' | 'kind';
const groupNames: Record<Group, UsageGroup> = { model: 'model', api_key_id: 'key', kind: 'kind' };

export function addUsageVerbs(admin: Command): void {
  const usage = noun(admin, 'usage', 'who used what; check the ledger');

  verb(usage, {
    name: 'show',
    summary: 'what each team used by the day, and what it cost',
    examples: ['graft admin usage show --days 30', 'graft admin usage show --team research --by model'],
  })
    .option('--team <team>', 'of this team alone')
    .option('--days <n>', 'today and so many days before it, less one', wholeNumber(1), 7)
    .option('--by <groups>', 'told apart by some of model, api_key_id, kind, with commas between', groups)
    .action(async (options: VerbOptions & { team?: string; days: number; by?: Group[] }) => {
      const output = createOutput(options);
      const end = new Date();
      const start = new Date(end.getTime() - (options.days - 1) * 24 * 3600 * 1000);
      const groupBy: UsageGroup[] = ['team', ...(options.by ?? []).map((name) => groupNames[name])];
      const results = await withServices(async (services, service) => {
        const onlyTeam = options.team && (await existingTeam(services, service, options.team)).id;
        const all: ReturnType<typeof wireUse>[] = [];
        for (let page: string | null | undefined; page !== null; ) {
          const query = { start, end, groupBy, days: service.mostPageDays, onlyTeam, page };
          const answer: UsagePage = await service.readUsage(services, null, query);
          for (const { start: day, results } of answer.buckets)
            all.push(...results.map((use) => wireUse(day, use)));
          page = answer.next;
        }
        return all;
      });
      output.result({ object: 'list', data: results }, () =>
        usageTable(results, ['team_id', ...(options.by ?? [])], output.paint),
      );
    });

  verb(usage, {
    name: 'check',
    summary: 'compare the ledger with jobs, attempts and stored rows; fails where they differ',
    examples: ['graft admin usage check'],
  }).action(async (options: VerbOptions) => {
    const output = createOutput(options);
    const differences = await withServices((services, { checkUsage }) => checkUsage(services));
    output.result({ object: 'list', data: differences }, () =>
      table(
        ['TEAM', 'KIND', 'OF', 'COUNTED', 'IN THE LEDGER'],
        differences.map(({ teamId, kind, subject, counted, entered }) => [
          ...[teamId, kind, subject],
          ...[counted === null ? '-' : String(counted), String(entered)],
        ]),
        output.paint,
        'The ledger agrees with jobs, attempts and stored rows.',
      ),
    );
    if (differences.length > 0) throw new CommandError(`${differences.length} differences.`);
  });
}

function groups(text: string): Group[] {
  const names = text.split(',');
  if (names.some((name) => !Object.hasOwn(groupNames, name)))
    throw new InvalidArgumentError(`Groups are ${Object.keys(groupNames).join(', ')}.`);
  return names as Group[];
}

/** Field names as the API has them. */
const wireUse = (day: Date, use: DayUse) => ({
  object: 'usage.result' as const,
  start_time: unixSeconds(day),
  team_id: use.teamId,
  model: use.model,
  api_key_id: use.keyId,
  job_id: use.jobId,
  kind: use.kind,
  trained_tokens: use.trainedTokens,
  device_seconds: use.deviceSeconds,
  input_tokens: use.inputTokens,
  output_tokens: use.outputTokens,
  num_model_requests: use.requests,
  stored_bytes: use.storedBytes,
  stored_gib_days: use.storedGibDays,
  cost: use.cost,
});

const kinds: UsageKind[] = [
  'trained_tokens',
  'device_seconds',
  'stored_bytes',
  'input_tokens',
  'output_tokens',
];

export function addPriceVerbs(admin: Command): void {
  const prices = noun(admin, 'prices', 'list, set, remove what units cost');

  verb(prices, {
    name: 'list',
    summary: 'list prices, the newest first',
    examples: ['graft admin prices list'],
  }).action(async (options: VerbOptions) => {
    const output = createOutput(options);
    const { data, units } = await withServices(async (services, { listPrices, priceUnits, mostPrices }) => ({
      ...(await listPrices(services, { limit: mostPrices })),
      units: priceUnits,
    }));
    output.result({ object: 'list', data: data.map(wirePrice) }, () =>
      table(
        ['ID', 'KIND', 'MODEL', 'PRICE', 'OF', 'FROM'],
        data.map(({ id, kind, model, price, validFrom }) => [
          ...[id, kind, model, String(price), units[kind], timestamp(unixSeconds(validFrom))],
        ]),
        output.paint,
        'No prices: everything costs 0. Set one with: graft admin prices set KIND PRICE',
      ),
    );
  });

  verb(prices, {
    name: 'set <kind> <price>',
    summary: 'set what a unit costs: a million tokens, an hour of a device, a GiB for a day',
    examples: [
      'graft admin prices set trained_tokens 2.50',
      'graft admin prices set device_seconds 1.20 --model smollm2-135m-instruct --from 2027-01-01T00:00:00Z',
    ],
  })
    .option('--model <id>', 'a base model that has a price of its own (default: all that have none)')
    .option(
      '--from <time>',
      'since when, such as 2027-01-01T00:00:00Z (default: now; of stored_bytes today)',
      moment,
    )
    .action(async (kind: string, price: string, options: VerbOptions & { model?: string; from?: Date }) => {
      if (!kinds.includes(kind as UsageKind)) throw new CommandError(`Kinds are ${kinds.join(', ')}.`);
      const { model, from: validFrom } = options;
      const input = { kind: kind as UsageKind, price: anyNumber(price), model, validFrom };
      const made = await withServices((services, { setPrice }) => setPrice(services, input, null));
      createOutput(options).result(
        wirePrice(made),
        () => `${made.kind} of ${made.model} costs ${made.price} from ${made.validFrom.toISOString()}.`,
      );
    });

  verb(prices, {
    name: 'remove <id>',
    summary: 'remove a price: for its time the one before it is valid again',
    examples: ['graft admin prices remove price-…'],
  }).action(async (id: string, options: VerbOptions) => {
    const isRemoved = await withServices((services, { removePrice }) => removePrice(services, id, null));
    if (!isRemoved)
      throw new CommandError(`There is no price ${id}. \`graft admin prices list\` shows them.`);
    createOutput(options).result({ id, deleted: true }, () => `Removed ${id}.`);
  });
}

function moment(text: string): Date {
  const date = new Date(text);
  if (Number.isNaN(date.getTime()))
    throw new InvalidArgumentError('It must be a time such as 2027-01-01T00:00:00Z.');
  return date;
}

const wirePrice = ({ id, kind, model, price, validFrom, createdAt }: UsagePrice) => ({
  ...{ id, object: 'usage.price', created_at: unixSeconds(createdAt), kind, model, price },
  valid_from: unixSeconds(validFrom),
});

/** `graft admin teams budget`. */
export function addBudgetVerb(teams: Command): void {
  verb(teams, {
    name: 'budget <team> [monthly]',
    summary: 'show, set or remove what a team may spend in a month',
    examples: [
      'graft admin teams budget research 500 --warn-at 0.9',
      'graft admin teams budget research --remove',
    ],
  })
    .option('--warn-at <share>', 'share of it at which the team is warned (default: 0.8)', anyNumber)
    .option('--warn-only', 'let the team go on once it is spent')
    .option('--remove', 'let the team spend without a limit')
    .action(
      async (
        name: string,
        monthly: string | undefined,
        options: VerbOptions & { warnAt?: number; warnOnly?: boolean; remove?: boolean },
      ) => {
        const output = createOutput(options);
        const { id, budget } = await withServices(async (services, service) => {
          const { id } = await existingTeam(services, service, name);
          if (options.remove) {
            await service.removeBudget(services, id, null);
            return { id, budget: null };
          }
          if (monthly === undefined) return { id, budget: await service.readBudget(services, id) };
          const { warnAt = service.defaultBudget.warnAt, warnOnly = false } = options;
          const settings = { monthly: anyNumber(monthly), warnAt, stops: !warnOnly };
          return { id, budget: await service.setBudget(services, id, settings, null) };
        });
        const wire = budget && {
          ...{
            object: 'budget',
            team_id: id,
            monthly: budget.monthly,
            spent: budget.spent,
            state: budget.state,
          },
          ...{ warn_at: budget.warnAt, stops: budget.stops },
          ...{ start_time: unixSeconds(budget.start), resets_at: unixSeconds(budget.resetsAt) },
        };
        output.result(wire, () =>
          budget
            ? `${name} has spent ${budget.spent.toFixed(2)} of ${budget.monthly} this month, until ${budget.resetsAt.toISOString()}${budget.stops ? '' : '; it is only warned'}.`
            : `${name} has no budget.`,
        );
      },
    );
}
