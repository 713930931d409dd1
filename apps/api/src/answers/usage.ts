import { type Budget, type DayUse, priceUnits, type UsagePage, type UsagePrice } from '@graft/service/usage';
import type { UsageGroup } from '@graft/wire/lists';
import {
  type BudgetSchema,
  groups,
  type PriceSchema,
  type UsagePageSchema,
  UsageResultSchema,
} from '@graft/wire/usage';
import type { Static } from 'typebox';
import { csvLine } from './csv.ts';
import { unixSeconds } from './list.ts';

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

export function toWireBudget(teamId: string, budget: Budget): Static<typeof BudgetSchema> {
  const { monthly, spent, state, warnAt: warn_at, stops } = budget;
  const times = { start_time: unixSeconds(budget.start), resets_at: unixSeconds(budget.resetsAt) };
  return { object: 'budget', team_id: teamId, monthly, spent, state, warn_at, stops, ...times };
}

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
