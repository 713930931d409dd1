import {
  type Budget,
  type DayUse,
  maxPageDays,
  maxUsageDays,
  priceUnits,
  type UsageGroup,
  type UsageKind,
  type UsagePage,
  type UsagePrice,
  usageKinds,
} from '@graft/service';
import { type Static, Type } from 'typebox';
import { csvLine } from './csv.ts';
import { After, limit } from './list.ts';
import { deletedSchema, input, named, namedInput, nullable, ref, Time, unixSeconds } from './schema.ts';

const Kind = Type.Unsafe<UsageKind>({ type: 'string', enum: [...usageKinds] });
const Money = (description: string) => Type.Number({ description });

const UsageResultSchema = named('UsageResult', {
  object: Type.Literal('usage.result'),
  team_id: nullable(Type.String(), { description: 'For the operator. Null: it is your own.' }),
  model: nullable(Type.String(), { description: 'With `group_by=model`; null also of what is no model’s.' }),
  api_key_id: nullable(Type.String(), {
    description: 'With `group_by=api_key_id`; null also of people who are signed in.',
  }),
  job_id: nullable(Type.String(), { description: 'With `group_by=job_id`; null also of what is no job’s.' }),
  kind: nullable(Kind, { description: 'With `group_by=kind`.' }),
  trained_tokens: Type.Integer({
    description: 'By jobs, each step once, as it was checkpointed or the job ended.',
  }),
  device_seconds: Type.Number({ description: 'Of attempts to train, lost ones too.' }),
  input_tokens: Type.Integer({ description: 'Of prompts.' }),
  output_tokens: Type.Integer({ description: 'Of answers, also those that were cut off.' }),
  num_model_requests: Type.Integer({ description: 'Completions.' }),
  stored_bytes: Type.Integer({
    description: 'Of files, uploads and adapters at the end of the day, or now.',
  }),
  stored_gib_days: Type.Number({ description: 'GiB times the days that they were stored.' }),
  cost: Money("By the prices of its time, in the operator's money."),
});

const BucketSchema = named('UsageBucket', {
  object: Type.Literal('bucket'),
  start_time: Time,
  end_time: Time,
  results: Type.Array(ref(UsageResultSchema)),
});

export const UsagePageSchema = named('UsagePage', {
  object: Type.Literal('page'),
  data: Type.Array(ref(BucketSchema), {
    description:
      'A bucket per UTC day, the earliest first. A day with very many results continues on the next page.',
  }),
  has_more: Type.Boolean(),
  next_page: nullable(Type.String({ description: 'For `page`.' })),
});

const groups = { model: 'model', api_key_id: 'key', job_id: 'job', kind: 'kind' } as const;
const groupsOfOperator = { model: 'model', api_key_id: 'key', kind: 'kind' } as const;

const groupBy = (names: Record<string, UsageGroup>, description: string) =>
  Type.Optional(
    Type.String({
      pattern: `^(?:${Object.keys(names).join('|')})(?:,(?:${Object.keys(names).join('|')})){0,3}$`,
      description,
    }),
  );
const second = (description: string) => Type.Integer({ minimum: 0, maximum: 253_402_300_799, description });

const query = {
  start_time: second(
    `Unix seconds; the day that it lies in is the first. At most ${maxUsageDays} days before end_time.`,
  ),
  end_time: Type.Optional(second('Unix seconds, exclusive; default now.')),
  bucket_width: Type.Optional(
    Type.Enum(['1d'], { type: 'string', description: 'A day, as OpenAI names it.' }),
  ),
  limit: Type.Integer({ minimum: 1, maximum: maxPageDays, default: 7, description: 'Days of a page.' }),
  page: Type.Optional(
    Type.String({ minLength: 1, maxLength: 4096, description: 'next_page of the page before.' }),
  ),
  format: Type.Optional(
    Type.Enum(['json', 'csv'], {
      type: 'string',
      description:
        'csv: the same as a table, with the header x-next-page. `Accept: text/csv` asks for it, too.',
    }),
  ),
};
export const UsageQuery = input({
  ...query,
  group_by: groupBy(groups, 'One or several of model, api_key_id, job_id, kind, with commas between.'),
});
export const AdminUsageQuery = input({
  ...query,
  team_id: Type.Optional(
    Type.String({ minLength: 1, maxLength: 256, description: 'Of this team alone; default all.' }),
  ),
  group_by: groupBy(
    groupsOfOperator,
    'One or several of model, api_key_id, kind, separated by commas. Results are always grouped by team, and models are base models.',
  ),
});

/** Converts the API's names of groups to the service's. */
export function groupsOf(text: string | undefined): UsageGroup[] {
  return (text?.split(',') ?? []).map((name) => groups[name as keyof typeof groups]);
}

function toWireResult(use: DayUse): Static<typeof UsageResultSchema> {
  return {
    object: 'usage.result',
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
  };
}

export function toWireUsage({ buckets, next }: UsagePage): Static<typeof UsagePageSchema> {
  const data = buckets.map(({ start, end, results }) => ({
    object: 'bucket' as const,
    start_time: unixSeconds(start),
    end_time: unixSeconds(end),
    results: results.map(toWireResult),
  }));
  return { object: 'page', data, has_more: next !== null, next_page: next };
}

/** CSV as in RFC 4180. Columns are the API's fields, with the day first. */
export function toCsv(page: Static<typeof UsagePageSchema>): string {
  const columns = Object.keys(UsageResultSchema.properties).filter((name) => name !== 'object');
  const lines = page.data.flatMap(({ start_time, results }) =>
    results.map((result) => [
      new Date(start_time * 1000).toISOString().slice(0, 10),
      ...columns.map((name) => result[name as keyof typeof result]),
    ]),
  );
  return [['date', ...columns], ...lines].map(csvLine).join('');
}

export const BudgetSchema = named('Budget', {
  object: Type.Literal('budget'),
  team_id: Type.String(),
  monthly: Money("For a calendar month of UTC, in the operator's money."),
  spent: Money('This month.'),
  state: Type.Enum(['within', 'warning', 'exceeded'], { type: 'string' }),
  warn_at: Type.Number({ description: 'Share of the budget at which the team is warned.' }),
  stops: Type.Boolean({ description: 'Whether no job, resumed job or completion begins once it is spent.' }),
  start_time: Time,
  resets_at: Time,
});

export const SetBudgetSchema = namedInput('SetBudget', {
  monthly: Type.Number({ minimum: 0, description: "In the operator's money." }),
  warn_at: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1, default: 0.8 })),
  stops: Type.Optional(Type.Boolean({ default: true, description: 'False: it is only warned of.' })),
});

export const DeletedBudgetSchema = named('DeletedBudget', {
  team_id: Type.String(),
  object: Type.Literal('budget'),
  deleted: Type.Literal(true),
});

export function toWireBudget(teamId: string, budget: Budget): Static<typeof BudgetSchema> {
  const { monthly, spent, state, warnAt: warn_at, stops } = budget;
  const times = { start_time: unixSeconds(budget.start), resets_at: unixSeconds(budget.resetsAt) };
  return { object: 'budget', team_id: teamId, monthly, spent, state, warn_at, stops, ...times };
}

export const PriceSchema = named('UsagePrice', {
  id: Type.String(),
  object: Type.Literal('usage.price'),
  created_at: Time,
  kind: Kind,
  model: Type.String({ description: 'A base model; `*`: all base models without a separate price.' }),
  price: Money("Of a unit, in the operator's money."),
  unit: Type.String({ description: 'What the price is for.' }),
  valid_from: Time,
});

export const SetPriceSchema = namedInput('SetUsagePrice', {
  kind: Kind,
  model: Type.Optional(
    Type.String({ minLength: 1, maxLength: 256, default: '*', description: 'A base model; `*`: all.' }),
  ),
  price: Type.Number({
    minimum: 0,
    description: 'Of a million tokens, an hour of a device, or a GiB stored for a day.',
  }),
  valid_from: Type.Optional(
    second(
      'Default now. A price of stored bytes begins at midnight, in UTC. Until the next price of the same kind and model.',
    ),
  ),
});

export const DeletedPriceSchema = deletedSchema('DeletedUsagePrice', 'usage.price');

export const PriceParams = Type.Object({ price_id: Type.String() });
export const ListPricesQuery = input({ after: After, limit: limit(20, 100) });

export function toWirePrice({
  id,
  createdAt,
  kind,
  model,
  price,
  validFrom,
}: UsagePrice): Static<typeof PriceSchema> {
  return {
    id,
    object: 'usage.price',
    created_at: unixSeconds(createdAt),
    kind,
    model,
    price,
    unit: priceUnits[kind],
    valid_from: unixSeconds(validFrom),
  };
}
