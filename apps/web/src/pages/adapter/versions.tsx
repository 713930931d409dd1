import type { AdapterVersion } from '@graft/client';
import { Link } from 'wouter-preact';
import { Cut } from '../../components/cut.tsx';
import { Listing } from '../../components/lists/listing.tsx';
import { Tags } from '../../components/tag.tsx';
import { Time } from '../../components/time.tsx';
import type { useVersions } from '../../data/adapters.ts';
import { bytes } from '../../text/numbers.ts';

export const Versions = ({
  id,
  shown,
  query,
}: {
  id: string;
  shown: number | null;
  query: ReturnType<typeof useVersions>;
}) => (
  <section class="stack">
    <h2>Versions</h2>
    <div class="adapter-versions short-tables">
      <Listing
        pages={query}
        label="Versions"
        minWidth="54rem"
        isScrolled
        emptyTitle="No versions"
        emptyText="All versions of this adapter were deleted."
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
            width: '8rem',
          },
          {
            head: 'Tags',
            cell: ({ tags }) => <Tags tags={tags.map((name) => ({ name }))} />,
            width: '14rem',
          },
          { head: 'Created by', cell: (version) => <Creator version={version} />, width: '10rem' },
          { head: 'Note', cell: ({ note }) => <Cut text={note} class="soft" /> },
          { head: 'Size', cell: (version) => bytes(version.bytes), end: true, width: '6.5rem' },
          { head: 'Created', cell: ({ created_at }) => <Time at={created_at} />, width: '8rem' },
        ]}
      />
    </div>
  </section>
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
