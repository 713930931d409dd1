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
import { useMay } from '../../data/session.ts';
import { playgroundWith } from '../../router/playground-with.ts';
import { useQueryState } from '../../router/query-state.ts';
import { bytes, measure, none } from '../../text/numbers.ts';
import { ModelField } from './model-field.tsx';

/** What is different between two fine-tuned models, whichever adapters they are of. */
export function CompareAdapters() {
  const [{ a, b }, set] = useQueryState({ a: '', b: '' });
  const mayCall = useMay('completions:write');
  return (
    <>
      <PageHead
        title="Compare adapters"
        up={{ href: '/adapters', text: 'Adapters' }}
        actions={
          a &&
          b &&
          mayCall && (
            <LinkButton icon="talk" href={playgroundWith(a, b)}>
              Try both
            </LinkButton>
          )
        }
      />
      <div class="adapters-pair">
        <ModelField label="A" tuned value={a} onValue={(a) => set({ a })} />
        <ModelField label="B" tuned value={b} onValue={(b) => set({ b })} />
      </div>
      {a && b ? (
        <Comparison a={a} b={b} />
      ) : (
        <Empty title="Choose two">
          <p>
            Versions of one adapter or of two, by the names of their models or tags. What differs between
            their configurations, data, metrics and files is told.
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
        A is <Version of={data.a} />, B is <Version of={data.b} />.{' '}
        {identical ? 'Their files are the same, byte for byte.' : 'Their files differ.'}
      </p>
      <Differences title="Configuration" rows={config} />
      <Differences title="What they were made from" rows={lineage} />
      <section class="stack">
        <h2>Measured</h2>
        {metrics.length === 0 ? (
          <p class="soft">Nothing was measured of either.</p>
        ) : (
          <Table
            label="Measured"
            minWidth="36rem"
            rows={metrics}
            rowKey={({ name }) => name}
            columns={[
              { head: 'Name', cell: ({ name }) => name, names: true },
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
            { head: 'File', cell: ({ path }) => path, names: true },
            { head: 'How', cell: ({ status }) => fileWords[status], width: '8rem' },
            { head: 'A', cell: ({ a }) => bytes(a?.bytes), end: true, width: '8rem' },
            { head: 'B', cell: ({ b }) => bytes(b?.bytes), end: true, width: '8rem' },
          ]}
        />
      </section>
    </>
  );
}

const fileWords = { same: 'Same', changed: 'Differs', only_a: 'Only in A', only_b: 'Only in B' };

const Version = ({ of: { adapter_id, adapter_name, version } }: { of: AdapterComparison['a'] }) => (
  <Link href={`/adapters/${adapter_id}?version=${version}`}>
    version {version} of {adapter_name}
  </Link>
);

const Differences = ({ title, rows }: { title: string; rows: AdapterDifference[] }) => (
  <section class="stack">
    <h2>{title}</h2>
    {rows.length === 0 ? (
      <p class="soft">No difference.</p>
    ) : (
      <Table
        label={title}
        minWidth="36rem"
        rows={rows}
        rowKey={({ field }) => field}
        columns={[
          { head: 'Field', cell: ({ field }) => field, names: true, width: '16rem' },
          { head: 'A', cell: (row) => <Value of={row.a} /> },
          { head: 'B', cell: (row) => <Value of={row.b} /> },
        ]}
      />
    )}
  </section>
);

const Value = ({ of }: { of: unknown }) =>
  of === undefined ? (
    none
  ) : (
    <code class="adapters-value">{typeof of === 'string' ? of : JSON.stringify(of)}</code>
  );
