import type { AdapterVersion } from '@graft/client';
import { Link } from 'wouter-preact';
import { More } from '../../components/lists/more.tsx';
import { Table } from '../../components/lists/table.tsx';
import { Problem } from '../../components/problem.tsx';
import { Tag } from '../../components/tag.tsx';
import { Time } from '../../components/time.tsx';
import { Waiting } from '../../components/waiting.tsx';
import type { useVersions } from '../../data/adapters.ts';
import { bytes } from '../../text/numbers.ts';

/** Table of an adapter's versions. */
export function Versions({
  id,
  shown,
  query,
}: {
  id: string;
  shown: number | null;
  query: ReturnType<typeof useVersions>;
}) {
  const { data, error, refetch } = query;
  if (error) return <Problem error={error} onRetry={refetch} />;
  if (!data) return <Waiting />;
  return (
    <section class="stack">
      <h2>Versions</h2>
      <div class="adapter-versions">
        <Table
          label="Versions"
          minWidth="54rem"
          rows={data.pages.flatMap((page) => page.data)}
          rowKey={({ id }) => id}
          columns={[
            {
              head: 'Version',
              cell: ({ version }) => (
                <Link
                  href={`/adapters/${id}?version=${version}`}
                  aria-current={version === shown ? 'true' : undefined}
                >
                  Version {version}
                </Link>
              ),
              isRowHeader: true,
              width: '8rem',
            },
            { head: 'Tags', cell: Tags, width: '14rem' },
            { head: 'Created by', cell: (version) => <Creator version={version} />, width: '10rem' },
            {
              head: 'Note',
              cell: ({ note }) => (
                <span class="cut soft" title={note ?? ''}>
                  {note}
                </span>
              ),
            },
            { head: 'Size', cell: (version) => bytes(version.bytes), end: true, width: '6.5rem' },
            { head: 'Created', cell: ({ created_at }) => <Time at={created_at} />, width: '8rem' },
          ]}
        />
        <More query={query} />
      </div>
    </section>
  );
}

const Tags = ({ tags }: AdapterVersion) => (
  <span class="row">
    {tags.slice(0, 3).map((tag) => (
      <Tag key={tag} name={tag} />
    ))}
    {tags.length > 3 && <span class="small soft">and {tags.length - 3} more</span>}
  </span>
);

/** The job that created a version, or "Uploaded". */
export function Creator({ version: { fine_tuning_job_id: job } }: { version: AdapterVersion }) {
  return job ? (
    <Link href={`/jobs/${job}`} title={job}>
      Job {job.slice(-8)}
    </Link>
  ) : (
    'Uploaded'
  );
}
