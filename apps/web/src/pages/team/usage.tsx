import type { UsageBucket } from '@graft/client';
import { useQuery } from '@tanstack/preact-query';
import { Cut } from '../../components/cut.tsx';
import { Empty } from '../../components/empty.tsx';
import { Button } from '../../components/forms/button.tsx';
import { Choice, Select } from '../../components/forms/field.tsx';
import { useAction } from '../../components/forms/form.tsx';
import { Bars } from '../../components/lists/bars.tsx';
import { Table } from '../../components/lists/table.tsx';
import { Loaded } from '../../components/loaded.tsx';
import { graft } from '../../data/graft.ts';
import { saveFile } from '../../data/save-file.ts';
import { useQueryState } from '../../router/query-state.ts';
import { bytes, compact, count, money } from '../../text/numbers.ts';
import { dayOf, duration } from '../../text/times.ts';
import { type Group, groupings, groupUsage, type Measure, type Sums } from './usage-groups.ts';

const measures: Record<Measure, { text: string; format: (value: number) => string }> = {
  trained_tokens: { text: 'Trained tokens', format: compact },
  device_seconds: { text: 'Device time', format: duration },
  completion_tokens: { text: 'Completion tokens', format: compact },
  stored_bytes: { text: 'Storage', format: bytes },
  cost: { text: 'Cost', format: money },
};
const measureNames = Object.keys(measures) as Measure[];

const day = 86_400;

/** Usage by day, grouped by model, API key or job. */
export function Usage() {
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
