import type { AdapterComparison, AdapterDifference } from '@graft/client';
import { useQuery } from '@tanstack/preact-query';
import { Link } from 'wouter-preact';
import { Empty } from '../../components/empty.tsx';
import { LinkButton } from '../../components/forms/button.tsx';
import { type Column, Table } from '../../components/lists/table.tsx';
import { Loaded } from '../../components/loaded.tsx';
import { PageHead } from '../../components/page-head.tsx';
import { graft } from '../../data/graft.ts';
import { useJobOptions } from '../../data/job-options.ts';
import { usePermission } from '../../data/session.ts';
import { describeVersionMetric, type Objectives } from '../../data/version-metrics.ts';
import { useQueryState } from '../../router/query-state.ts';
import { bytes, none, valueText } from '../../text/numbers.ts';
import { PlaygroundLink } from '../playground/playground-link.tsx';
import { ModelField } from './model-field.tsx';

/** The differences between two adapter versions, of the same adapter or of two. */
export function CompareAdapters() {
  const [{ a, b }, , field] = useQueryState({ a: '', b: '' });
  const canWrite = usePermission('adapters:write');
  return (
    <>
      <PageHead
        title="Compare adapters"
        up={{ href: '/adapters', text: 'Adapters' }}
        actions={
          a &&
          b && (
            <>
              {canWrite && (
                <LinkButton icon="add" href={`/adapters/combine?${new URLSearchParams({ a, b })}`}>
                  Combine
                </LinkButton>
              )}
              <PlaygroundLink a={a} b={b}>
                Open in playground
              </PlaygroundLink>
            </>
          )
        }
      />
      <div class="adapters-pair">
        <ModelField label="Model A" tuned {...field('a')} />
        <ModelField label="Model B" tuned {...field('b')} />
      </div>
      {a && b ? (
        <Comparison a={a} b={b} />
      ) : (
        <Empty title="Choose two versions">
          <p>
            Enter model names or tags, of the same adapter or of two. The comparison shows differences in
            configuration, training inputs, metrics and files.
          </p>
        </Empty>
      )}
    </>
  );
}

function Comparison({ a, b }: { a: string; b: string }) {
  const objectives = useJobOptions().data?.objectives;
  const comparison = useQuery({
    queryKey: ['adapters', 'comparison', a, b],
    queryFn: () => graft.adapters.compare(a, b),
  });
  return (
    <Loaded query={comparison}>
      {(data) => (
        <>
          <p>
            A is <VersionLink version={data.a} />, B is <VersionLink version={data.b} />.{' '}
            {data.identical ? 'Their files are identical.' : 'Their files differ.'}
          </p>
          <Differences title="Configuration" rows={data.config} rowKey={fieldName} columns={fieldColumns} />
          <Differences
            title="Training inputs"
            rows={data.lineage}
            rowKey={fieldName}
            columns={fieldColumns}
          />
          <Differences
            title="Metrics"
            none="Neither version has metrics."
            rows={data.metrics}
            rowKey={({ name }) => name}
            columns={metricColumns(objectives)}
          />
          <Differences title="Files" rows={data.files} rowKey={({ path }) => path} columns={fileColumns} />
        </>
      )}
    </Loaded>
  );
}

const VersionLink = ({
  version: { adapter_id, adapter_name, version },
}: {
  version: AdapterComparison['a'];
}) => (
  <Link href={`/adapters/${adapter_id}?version=${version}`}>
    version {version} of {adapter_name}
  </Link>
);

const Differences = <Row,>({
  title,
  none = 'No differences.',
  ...table
}: { title: string; none?: string } & Omit<Parameters<typeof Table<Row>>[0], 'label'>) => (
  <section class="stack">
    <h2>{title}</h2>
    {table.rows.length === 0 ? (
      <p class="soft">{none}</p>
    ) : (
      <Table label={title} minWidth="36rem" {...table} />
    )}
  </section>
);

const Value = ({ value }: { value: unknown }) =>
  value === undefined ? none : <code class="adapters-value">{valueText(value)}</code>;

const fieldName = ({ field }: AdapterDifference) => field;
const fieldColumns: Column<AdapterDifference>[] = [
  { head: 'Field', cell: fieldName, width: '16rem' },
  { head: 'A', cell: (row) => <Value value={row.a} /> },
  { head: 'B', cell: (row) => <Value value={row.b} /> },
];

type MetricRow = AdapterComparison['metrics'][number];

function metricColumns(objectives: Objectives): Column<MetricRow>[] {
  const side = (head: string, of: 'a' | 'b' | 'difference'): Column<MetricRow> => ({
    head,
    cell: ({ name, [of]: value }) =>
      value === null ? none : describeVersionMetric(name, objectives).format(value),
    end: true,
    width: '8rem',
  });
  return [
    { head: 'Name', cell: ({ name }) => describeVersionMetric(name, objectives).label },
    side('A', 'a'),
    side('B', 'b'),
    side('B − A', 'difference'),
  ];
}

const fileStatuses = { same: 'Identical', changed: 'Different', only_a: 'Only in A', only_b: 'Only in B' };
const fileColumns: Column<AdapterComparison['files'][number]>[] = [
  { head: 'File', cell: ({ path }) => path },
  { head: 'Status', cell: ({ status }) => fileStatuses[status], width: '8rem' },
  { head: 'A', cell: ({ a }) => bytes(a?.bytes), end: true, width: '8rem' },
  { head: 'B', cell: ({ b }) => bytes(b?.bytes), end: true, width: '8rem' },
];
