import type { UsageBucket, UsageResult } from '@graft/client';
import { useQuery } from '@tanstack/preact-query';
import { Cut } from '../../components/cut.tsx';
import { Empty } from '../../components/empty.tsx';
import { Button } from '../../components/forms/button.tsx';
import { Choice, Select } from '../../components/forms/field.tsx';
import { useAction } from '../../components/forms/form.tsx';
import { type Bar, Bars } from '../../components/lists/bars.tsx';
import { Facts } from '../../components/lists/facts.tsx';
import { Meter } from '../../components/lists/meter.tsx';
import { Table } from '../../components/lists/table.tsx';
import { Loaded } from '../../components/loaded.tsx';
import { Problem } from '../../components/problem.tsx';
import { Time } from '../../components/time.tsx';
import { Waiting } from '../../components/waiting.tsx';
import { graft } from '../../data/graft.ts';
import { saveFile } from '../../data/save-file.ts';
import { useQueryState } from '../../router/query-state.ts';
import { bytes, compact, count, money, percent } from '../../text/numbers.ts';
import { dayOf, duration } from '../../text/times.ts';

/** The team's quotas and budget with their current use, and the usage by day. */
export function Limits() {
  const quota = useQuery({ queryKey: ['quota'], queryFn: () => graft.team.quota() });
  const budget = useQuery({
    queryKey: ['budget'],
    queryFn: () => graft.usage.budget(),
    enabled: quota.data?.has_budget === true,
  });
  if (!quota.data || budget.isLoading) {
    return quota.error ? <Problem error={quota.error} onRetry={quota.refetch} /> : <Waiting height="20rem" />;
  }
  const { use: usage, ...limits } = quota.data;
  const trained = usage.trained_tokens + usage.planned_tokens;
  const planned =
    usage.planned_tokens > 0 && `including ${count(usage.planned_tokens)} planned by unfinished jobs`;
  const spending = budget.data;
  return (
    <>
      <section class="panel">
        <h2>Limits</h2>
        <Facts
          facts={[
            limitFact('Running jobs', usage.running_jobs, limits.running_jobs, count),
            limitFact('Waiting jobs', usage.queued_jobs, limits.queued_jobs, count),
            limitFact('Storage', usage.stored_bytes, limits.stored_bytes, bytes),
            limitFact('Files', usage.files, limits.files, count),
            limitFact('Adapter versions', usage.adapters, limits.adapters, count),
            limitFact('Exports', usage.exports, limits.exports, count),
            {
              ...limitFact('Tokens trained this month', trained, limits.tokens_per_month, count),
              ...(planned && { note: planned }),
            },
            limitFact('Open uploads', usage.open_uploads, limits.open_uploads, count),
            ...(spending
              ? [
                  {
                    ...limitFact('Spent this month', spending.spent, spending.monthly, money),
                    note: (
                      <>
                        {spending.stops
                          ? 'New jobs and requests are rejected when it is spent.'
                          : 'Warning only.'}{' '}
                        Resets <Time at={spending.resets_at} />.
                      </>
                    ),
                  },
                ]
              : []),
            { name: 'Tokens per job', value: limitText(limits.tokens_per_job, count) },
            { name: 'Maximum rank', value: limitText(limits.max_rank, count) },
            { name: 'Tokens per example', value: limitText(limits.max_seq_length, count) },
            { name: 'Base models', value: limitText(limits.models, (names) => names.join(', ') || 'none') },
            { name: 'Methods', value: limitText(limits.methods, (names) => names.join(', ') || 'none') },
          ]}
        />
        <p class="small soft">
          Set by the operator. The month ends <Time at={limits.month_ends} form="clock" />.
        </p>
        {budget.error && <Problem error={budget.error} onRetry={budget.refetch} />}
      </section>
      <Usage />
    </>
  );
}

const limitText = <T,>(limit: T | null, format: (limit: T) => string) =>
  limit === null ? 'no limit' : format(limit);

function limitFact(name: string, used: number, limit: number | null, format: (value: number) => string) {
  if (limit === null) return { name, value: format(used), note: 'no limit' };
  const share = limit === 0 ? Number(used > 0) : used / limit;
  return {
    name,
    value: (
      <span class="limit tight">
        <span>
          {format(used)} <span class="soft">of {format(limit)}</span>
        </span>
        <Meter value={share} label={`${name}: ${percent(share)} of the limit`} />
      </span>
    ),
  };
}

type Measure = 'trained_tokens' | 'device_seconds' | 'completion_tokens' | 'stored_bytes' | 'cost';
type Sums = Record<Measure | 'requests', number>;

interface Group {
  name: string;
  /** Totals of all days; for stored bytes, the last day. */
  sums: Sums;
}

const groupings: readonly (readonly [string, string])[] = [
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
function groupUsage(
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

const measures: Record<Measure, { text: string; format: (value: number) => string }> = {
  trained_tokens: { text: 'Trained tokens', format: compact },
  device_seconds: { text: 'Device time', format: duration },
  completion_tokens: { text: 'Completion tokens', format: compact },
  stored_bytes: { text: 'Storage', format: bytes },
  cost: { text: 'Cost', format: money },
};
const measureNames = Object.keys(measures) as Measure[];

const day = 86_400;

function Usage() {
  const [{ days, by, show }, , field] = useQueryState({ days: '30', by: '', show: 'trained_tokens' });
  const range = ['7', '30', '90', '365'].includes(days) ? days : '30';
  const grouping = groupings.find(([name]) => name === by)?.[0] ?? '';
  const measure = measureNames.find((name) => name === show) ?? 'trained_tokens';
  /** One bucket per UTC day; the last is today's. */
  const params = () => ({
    start_time: (Math.floor(Date.now() / 1000 / day) - Number(range) + 1) * day,
    limit: 31,
    ...(grouping !== '' && { group_by: grouping }),
  });
  const usage = useQuery({
    queryKey: ['usage', range, grouping],
    queryFn: async () => {
      const buckets: UsageBucket[] = [];
      for await (const bucket of graft.usage.days(params())) buckets.push(bucket);
      return buckets;
    },
    staleTime: 60_000,
  });
  const save = useAction({
    run: async (query: ReturnType<typeof params>) => {
      const parts: string[] = [];
      for await (const part of graft.usage.csv(query)) parts.push(part);
      saveFile('usage.csv', 'text/csv', parts);
    },
  });
  return (
    <section class="panel">
      <div class="section-head">
        <h2>Daily usage</h2>
        <Button icon="download" busy={save.isPending} onClick={() => save.mutate(params())}>
          CSV
        </Button>
      </div>
      <div class="filters">
        <Select
          label="Metric"
          {...field('show')}
          value={measure}
          options={measureNames.map((name) => [name, measures[name].text] as const)}
        />
        <Select label="Group by" {...field('by')} value={grouping} options={groupings} />
        <Choice
          label="Period"
          {...field('days')}
          value={range}
          options={{ 7: '7 days', 30: '30 days', 90: '90 days', 365: '1 year' }}
        />
      </div>
      <Loaded query={usage} height="22rem">
        {(buckets) => <UsageChart buckets={buckets} grouping={grouping} measure={measure} />}
      </Loaded>
    </section>
  );
}

function UsageChart({
  buckets,
  grouping,
  measure,
}: {
  buckets: readonly UsageBucket[];
  grouping: string;
  measure: Measure;
}) {
  const { text, format } = measures[measure];
  const { groups, bars, series } = groupUsage(buckets, grouping, measure);
  if (groups.every(({ sums }) => Object.values(sums).every((sum) => sum === 0))) {
    return (
      <Empty title="No usage in this period">
        <p>Training, completions and storage are counted from first use.</p>
      </Empty>
    );
  }
  const cell = (head: string, cellText: (sums: Sums) => string) => ({
    head,
    end: true,
    width: '8rem',
    cell: ({ sums }: Group) => cellText(sums),
  });
  return (
    <>
      <Bars label={text} bars={bars} series={series} format={format} day={dayOf} />
      <Table
        label="Totals"
        minWidth="62rem"
        rows={groups}
        rowKey={({ name }) => name}
        columns={[
          {
            head: groupings.find(([name]) => name === grouping)![1],
            cell: ({ name }) => <Cut text={name} />,
          },
          cell('Trained tokens', ({ trained_tokens }) => count(trained_tokens)),
          cell('Device time', ({ device_seconds }) => duration(device_seconds)),
          cell('Completions', ({ requests }) => count(requests)),
          cell('Completion tokens', ({ completion_tokens }) => count(completion_tokens)),
          cell('Storage', ({ stored_bytes }) => bytes(stored_bytes)),
          cell('Cost', ({ cost }) => money(cost)),
        ]}
      />
    </>
  );
}
