import type { UsageBucket } from '@graft/client';
import { useQuery } from '@tanstack/preact-query';
import { useState } from 'preact/hooks';
import { Empty } from '../../components/empty.tsx';
import { Button } from '../../components/forms/button.tsx';
import { Choice, Select } from '../../components/forms/field.tsx';
import { Bars } from '../../components/lists/bars.tsx';
import { Table } from '../../components/lists/table.tsx';
import { Problem } from '../../components/problem.tsx';
import { toastError } from '../../components/toast.tsx';
import { Waiting } from '../../components/waiting.tsx';
import { graft } from '../../data/graft.ts';
import { saveFile } from '../../data/save-file.ts';
import { useQueryState } from '../../router/query-state.ts';
import { bytes, count, money, rough } from '../../text/numbers.ts';
import { dayOf, span } from '../../text/times.ts';
import { byGroup, type Group, groupings, type Measure, type Sums } from './usage-groups.ts';

const measures: Record<Measure, { text: string; tell: (value: number) => string }> = {
  trained_tokens: { text: 'Trained tokens', tell: rough },
  device_seconds: { text: 'Device time', tell: span },
  completion_tokens: { text: 'Tokens of completions', tell: rough },
  stored_bytes: { text: 'Stored', tell: bytes },
  cost: { text: 'Cost', tell: money },
};
const measureNames = Object.keys(measures) as Measure[];

const day = 86_400;

/** What was used by the day, told apart by what the reader likes. */
export function Usage() {
  const [{ days, by, show }, change] = useQueryState({ days: '30', by: '', show: 'trained_tokens' });
  const [isSaving, setIsSaving] = useState(false);
  const range = ['7', '30', '90', '365'].includes(days) ? days : '30';
  const grouping = groupings.find(([name]) => name === by)?.[0] ?? '';
  const measure = measureNames.find((name) => name === show) ?? 'trained_tokens';
  /** Of each day of UTC a bucket, today's the last. */
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
  const save = async () => {
    setIsSaving(true);
    try {
      const parts: string[] = [];
      for await (const part of graft.usage.csv(params())) parts.push(part);
      saveFile('usage.csv', 'text/csv', parts);
    } catch (error) {
      toastError(error);
    } finally {
      setIsSaving(false);
    }
  };
  const { text, tell } = measures[measure];
  return (
    <section class="section">
      <div class="section-head">
        <h2>By the day</h2>
        <Button icon="download" busy={isSaving} onClick={save}>
          CSV
        </Button>
      </div>
      <div class="filters">
        <Select
          label="What"
          value={measure}
          onValue={(value) => change({ show: value })}
          options={measureNames.map((name) => [name, measures[name].text] as const)}
        />
        <Select
          label="Told apart by"
          value={grouping}
          onValue={(value) => change({ by: value })}
          options={groupings}
        />
        <Choice
          label="Days"
          value={range}
          onValue={(value) => change({ days: value })}
          options={[
            ['7', '7 days'],
            ['30', '30 days'],
            ['90', '90 days'],
            ['365', 'A year'],
          ]}
        />
      </div>
      {usage.data ? (
        <Drawn buckets={usage.data} {...{ grouping, measure, text, tell }} />
      ) : usage.error ? (
        <Problem error={usage.error} onRetry={usage.refetch} />
      ) : (
        <Waiting height="22rem" />
      )}
    </section>
  );
}

function Drawn({
  buckets,
  grouping,
  measure,
  text,
  tell,
}: {
  buckets: readonly UsageBucket[];
  grouping: string;
  measure: Measure;
  text: string;
  tell: (value: number) => string;
}) {
  const { groups, bars, series } = byGroup(buckets, grouping, measure);
  if (groups.every(({ sums }) => Object.values(sums).every((sum) => sum === 0))) {
    return (
      <Empty title="Nothing was used in these days">
        <p>What jobs train, what models answer and what is stored is counted from its first moment on.</p>
      </Empty>
    );
  }
  const cell = (head: string, tellIt: (sums: Sums) => string) => ({
    head,
    end: true,
    width: '7.5rem',
    cell: ({ sums }: Group) => tellIt(sums),
  });
  return (
    <>
      <Bars label={text} bars={bars} series={series} format={tell} day={dayOf} />
      <Table
        label="Sums"
        minWidth="60rem"
        rows={groups}
        rowKey={({ name }) => name}
        columns={[
          {
            head: groupings.find(([name]) => name === grouping)![1],
            names: true,
            cell: ({ name }) => (
              <span class="cut" title={name}>
                {name}
              </span>
            ),
          },
          cell('Trained tokens', ({ trained_tokens }) => count(trained_tokens)),
          cell('Device time', ({ device_seconds }) => span(device_seconds)),
          cell('Completions', ({ requests }) => count(requests)),
          cell('Their tokens', ({ completion_tokens }) => count(completion_tokens)),
          cell('Stored now', ({ stored_bytes }) => bytes(stored_bytes)),
          cell('Cost', ({ cost }) => money(cost)),
        ]}
      />
    </>
  );
}
