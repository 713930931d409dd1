import { Type } from 'typebox';
import { After, limit } from './list.ts';
import { maxPageDays, maxUsageDays, type UsageGroup, type UsageKind, usageKinds } from './lists.ts';
import { deletedSchema, input, named, namedInput, nullable, oneOf, optional, ref, Time } from './schema.ts';

const Kind = Type.Unsafe<UsageKind>({ type: 'string', enum: [...usageKinds] });
const Money = (description: string) => Type.Number({ description });

export const UsageResultSchema = named('UsageResult', {
  object: Type.Literal('usage.result'),
  team_id: nullable(Type.String(), {
    description: 'Id of the team, in the usage of all teams. Null in the usage of your own team.',
  }),
  model: nullable(Type.String(), {
    description: 'Model, with `group_by=model`. Null if not grouped, and for usage that belongs to no model.',
  }),
  api_key_id: nullable(Type.String(), {
    description:
      'Id of the API key, with `group_by=api_key_id`. Null if not grouped, and for usage by signed-in people.',
  }),
  job_id: nullable(Type.String(), {
    description:
      'Id of the job, with `group_by=job_id`. Null if not grouped, and for usage that belongs to no job.',
  }),
  kind: nullable(Kind, { description: 'Kind of usage, with `group_by=kind`. Null if not grouped.' }),
  trained_tokens: Type.Integer({
    description:
      'Number of tokens trained by jobs. Each step counts once, when it is checkpointed or the job ends.',
  }),
  device_seconds: Type.Number({
    description: 'Seconds of devices used by training attempts, including lost ones.',
  }),
  input_tokens: Type.Integer({ description: 'Number of prompt tokens.' }),
  output_tokens: Type.Integer({
    description: 'Number of output tokens, including those of interrupted completions.',
  }),
  num_model_requests: Type.Integer({ description: 'Number of completion requests.' }),
  stored_bytes: Type.Integer({
    description: 'Bytes of files, uploads and adapters at the end of the day; for today, now.',
  }),
  stored_gib_days: Type.Number({
    description: 'Stored GiB multiplied by the days for which they were stored.',
  }),
  cost: Money('Cost at the prices valid at the time of use, in the operator’s currency.'),
});

export const BucketSchema = named('UsageBucket', {
  object: Type.Literal('bucket'),
  start_time: Time,
  end_time: Time,
  results: Type.Array(ref(UsageResultSchema)),
});

export const UsagePageSchema = named('UsagePage', {
  object: Type.Literal('page'),
  data: Type.Array(ref(BucketSchema), {
    description:
      'One bucket per UTC day, the earliest first. A day with very many results continues on the next page.',
  }),
  has_more: Type.Boolean(),
  next_page: nullable(
    Type.String({ description: 'Value of `page` for the next page. Null on the last page.' }),
  ),
});

export const groups = { model: 'model', api_key_id: 'key', job_id: 'job', kind: 'kind' } as const;
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
    `Unix timestamp (in seconds). The first day is the one that contains it, at most ${maxUsageDays} days before \`end_time\`.`,
  ),
  end_time: Type.Optional(second('Unix timestamp (in seconds), exclusive. Default: now.')),
  bucket_width: Type.Optional(
    oneOf(['1d'], { description: 'Width of a bucket: one day, as in OpenAI’s API.' }),
  ),
  limit: Type.Integer({
    minimum: 1,
    maximum: maxPageDays,
    default: 7,
    description: 'Number of days per page.',
  }),
  ...optional({
    page: Type.String({ minLength: 1, maxLength: 4096, description: '`next_page` of the previous page.' }),
    format: oneOf(['json', 'csv'], {
      description:
        'Format of the response. `csv`: the same data as a table, with the next page in the header x-next-page. `Accept: text/csv` has the same effect.',
    }),
  }),
};
export const UsageQuery = input({
  ...query,
  group_by: groupBy(groups, 'One or more of model, api_key_id, job_id and kind, separated by commas.'),
});
export const AdminUsageQuery = input({
  ...query,
  team_id: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 256,
      description: 'Id of the only team to return usage of. Default: all teams.',
    }),
  ),
  group_by: groupBy(
    groupsOfOperator,
    'One or more of model, api_key_id and kind, separated by commas. Results are always grouped by team, and models are base models.',
  ),
});

export const BudgetSchema = named('Budget', {
  object: Type.Literal('budget'),
  team_id: Type.String(),
  monthly: Money('Budget per calendar month (UTC), in the operator’s currency.'),
  spent: Money('Amount spent this month.'),
  state: oneOf(['within', 'warning', 'exceeded']),
  warn_at: Type.Number({ description: 'Share of the budget, from 0 to 1, at which the team is warned.' }),
  stops: Type.Boolean({
    description: 'Whether new jobs, resumed jobs and completions are refused once the budget is spent.',
  }),
  start_time: Time,
  resets_at: Time,
});

export const SetBudgetSchema = namedInput('SetBudget', {
  monthly: Type.Number({
    minimum: 0,
    description: 'Budget per calendar month (UTC), in the operator’s currency.',
  }),
  warn_at: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1, default: 0.8 })),
  stops: Type.Optional(
    Type.Boolean({
      default: true,
      description:
        'Whether to refuse new jobs, resumed jobs and completions once the budget is spent. If false, the team is only warned.',
    }),
  ),
});

export const DeletedBudgetSchema = named('DeletedBudget', {
  team_id: Type.String(),
  object: Type.Literal('budget'),
  deleted: Type.Literal(true),
});

export const PriceSchema = named('UsagePrice', {
  id: Type.String(),
  object: Type.Literal('usage.price'),
  created_at: Time,
  kind: Kind,
  model: Type.String({
    description: 'Base model that the price applies to. `*`: all base models without a separate price.',
  }),
  price: Money('Price per unit, in the operator’s currency.'),
  unit: Type.String({ description: 'Unit that the price is for.' }),
  valid_from: Time,
});

export const SetPriceSchema = namedInput('SetUsagePrice', {
  kind: Kind,
  model: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 256,
      default: '*',
      description: 'Base model that the price applies to. `*`: all base models.',
    }),
  ),
  price: Type.Number({
    minimum: 0,
    description:
      'Price of a million tokens, an hour of a device, or a GiB stored for a day, in the operator’s currency.',
  }),
  valid_from: Type.Optional(
    second(
      'Unix timestamp (in seconds) from which the price applies, until the next price of the same kind and model. Default: now. A price of stored bytes starts at midnight UTC.',
    ),
  ),
});

export const DeletedPriceSchema = deletedSchema('DeletedUsagePrice', 'usage.price');

export const PriceParams = Type.Object({ price_id: Type.String() });
export const ListPricesQuery = input({ after: After, limit: limit(20, 100) });
