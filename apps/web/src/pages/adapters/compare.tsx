import type { AdapterComparison, AdapterDifference } from '@graft/client';
import { useQuery } from '@tanstack/preact-query';
import { Link } from 'wouter-preact';
import '../../styles/pages/adapters.css';
import { Empty } from '../../components/empty.tsx';
import { LinkButton } from '../../components/forms/button.tsx';
import { type Column, Table } from '../../components/lists/table.tsx';
import { PageHead } from '../../components/page-head.tsx';
import { Problem } from '../../components/problem.tsx';
import { Waiting } from '../../components/waiting.tsx';
import { graft } from '../../data/graft.ts';
import { usePermission } from '../../data/session.ts';
import { playgroundLink } from '../../router/playground-link.ts';
import { useQueryState } from '../../router/query-state.ts';
import { bytes, measure, none } from '../../text/numbers.ts';
import { ModelField } from './model-field.tsx';

/** The differences between two adapter versions, of the same adapter or of two. */
export function CompareAdapters() {
  const [{ a, b }, set] = useQueryState({ a: '', b: '' });
  const canCall = usePermission('completions:write');
  return (
    <>
      <PageHead
        title="Compare adapters"
        up={{ href: '/adapters', text: 'Adapters' }}
        actions={
          a &&
          b &&
          canCall && (
            <LinkButton icon="chat" href={playgroundLink(a, b)}>
              Open in playground
            </LinkButton>
          )
        }
      />
      <div class="adapters-pair">
        <ModelField label="Model A" tuned value={a} onValue={(a) => set({ a })} />
        <ModelField label="Model B" tuned value={b} onValue={(b) => set({ b })} />
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
  const { data, error, refetch } = useQuery({
    queryKey: ['adapters', 'comparison', a, b],
    queryFn: () => graft.adapters.compare(a, b),
  });
  if (error) return <Problem error={error} onRetry={refetch} />;
  if (!data) return <Waiting />;
  const { identical, config, lineage, metrics, files } = data;
  return (
    <>
      <p>
        A is <VersionLink version={data.a} />, B is <VersionLink version={data.b} />.{' '}
        {identical ? 'Their files are identical.' : 'Their files differ.'}
      </p>
      <Differences title="Configuration" rows={config} />
      <Differences title="Training inputs" rows={lineage} />
      <section class="stack">
        <h2>Metrics</h2>
        {metrics.length === 0 ? (
          <p class="soft">Neither version has metrics.</p>
        ) : (
          <Table
            label="Metrics"
            minWidth="36rem"
            rows={metrics}
            rowKey={({ name }) => name}
            columns={[
              { head: 'Name', cell: ({ name }) => name, isRowHeader: true },
              ...(['a', 'b', 'difference'] as const).map(
                (side): Column<AdapterComparison['metrics'][number]> => ({
                  head: side === 'difference' ? 'B − A' : side.toUpperCase(),
                  cell: (row) => measure(row[side]),
                  end: true,
                  width: '8rem',
                }),
              ),
            ]}
          />
        )}
      </section>
      <section class="stack">
        <h2>Files</h2>
        <Table
          label="Files"
          minWidth="36rem"
          rows={files}
          rowKey={({ path }) => path}
          columns={[
            { head: 'File', cell: ({ path }) => path, isRowHeader: true },
            { head: 'Status', cell: ({ status }) => fileStatuses[status], width: '8rem' },
            { head: 'A', cell: ({ a }) => bytes(a?.bytes), end: true, width: '8rem' },
            { head: 'B', cell: ({ b }) => bytes(b?.bytes), end: true, width: '8rem' },
          ]}
        />
      </section>
    </>
  );
}

const fileStatuses = { same: 'Identical', changed: 'Different', only_a: 'Only in A', only_b: 'Only in B' };

const VersionLink = ({
  version: { adapter_id, adapter_name, version },
}: {
  version: AdapterComparison['a'];
}) => (
  <Link href={`/adapters/${adapter_id}?version=${version}`}>
    version {version} of {adapter_name}
  </Link>
);

const Differences = ({ title, rows }: { title: string; rows: AdapterDifference[] }) => (
  <section class="stack">
    <h2>{title}</h2>
    {rows.length === 0 ? (
      <p class="soft">No differences.</p>
    ) : (
      <Table
        label={title}
        minWidth="36rem"
        rows={rows}
        rowKey={({ field }) => field}
        columns={[
          { head: 'Field', cell: ({ field }) => field, isRowHeader: true, width: '16rem' },
          { head: 'A', cell: (row) => <Value value={row.a} /> },
          { head: 'B', cell: (row) => <Value value={row.b} /> },
        ]}
      />
    )}
  </section>
);

const Value = ({ value }: { value: unknown }) =>
  value === undefined ? (
    none
  ) : (
    <code class="adapters-value">{typeof value === 'string' ? value : JSON.stringify(value)}</code>
  );
