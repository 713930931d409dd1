import type { UsageBucket, UsageResult } from '@graft/client';
import type { Bar } from '../../components/lists/bars.tsx';

export type Measure = 'trained_tokens' | 'device_seconds' | 'completion_tokens' | 'stored_bytes' | 'cost';
export type Sums = Record<Measure | 'requests', number>;

export interface Group {
  name: string;
  /** Totals of all days; for stored bytes, the last day. */
  sums: Sums;
}

/** The API's groupings, with labels. */
export const groupings: readonly (readonly [string, string])[] = [
  ['', 'Team'],
  ['model', 'Model'],
  ['api_key_id', 'API key'],
  ['job_id', 'Job'],
];

const ungroupedLabels: Record<string, string> = {
  model: 'no model',
  api_key_id: 'signed-in users',
  job_id: 'no job',
};

/** Series in a chart. The smallest are combined. */
const maxSeries = 6;
const others = 'all others';

/** Totals by group, sorted by the measure, and one bar per day; a day may have several buckets. */
export function groupUsage(
  buckets: readonly UsageBucket[],
  grouping: string,
  measure: Measure,
): { groups: Group[]; bars: Bar[]; series: string[] } {
  const groups = new Map<string, Group>();
  const days = new Map<number, Map<string, number>>();
  const last = buckets.at(-1)?.start_time;
  for (const { start_time, results } of buckets) {
    const day = days.get(start_time) ?? new Map<string, number>();
    days.set(start_time, day);
    for (const result of results) {
      const name = groupName(result, grouping);
      const used = toSums(result);
      const { sums } = groups.get(name) ?? { sums: {} as Partial<Sums> };
      const added = { ...used, stored_bytes: start_time === last ? used.stored_bytes : 0 };
      groups.set(name, { name, sums: addSums(sums, added) });
      day.set(name, (day.get(name) ?? 0) + used[measure]);
    }
  }
  const sorted = [...groups.values()].sort((a, b) => b.sums[measure] - a.sums[measure]);
  const names = sorted.map(({ name }) => name);
  const drawn = names.length > maxSeries ? names.slice(0, maxSeries - 1) : names;
  const rest = names.slice(drawn.length);
  const bars = [...days].map(([at, values]) => {
    const sum = (included: string[]) => included.reduce((total, name) => total + (values.get(name) ?? 0), 0);
    return { at, parts: [...drawn.map((name) => sum([name])), ...(rest.length > 0 ? [sum(rest)] : [])] };
  });
  return { groups: sorted, bars, series: rest.length > 0 ? [...drawn, others] : drawn };
}

const addSums = (a: Partial<Sums>, b: Sums): Sums =>
  Object.fromEntries(
    Object.entries(b).map(([key, value]) => [key, value + (a[key as keyof Sums] ?? 0)]),
  ) as Sums;

const toSums = (result: UsageResult): Sums => ({
  trained_tokens: result.trained_tokens,
  device_seconds: result.device_seconds,
  completion_tokens: result.input_tokens + result.output_tokens,
  stored_bytes: result.stored_bytes,
  cost: result.cost,
  requests: result.num_model_requests,
});

function groupName(result: UsageResult, grouping: string): string {
  if (grouping === '') return 'all';
  const name = { model: result.model, api_key_id: result.api_key_id, job_id: result.job_id }[grouping];
  return name ?? ungroupedLabels[grouping] ?? '';
}
