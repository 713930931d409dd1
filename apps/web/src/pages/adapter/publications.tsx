import type { AdapterExport, AdapterPublication, AdapterVersion } from '@graft/client';
import { useState } from 'preact/hooks';
import { Button } from '../../components/forms/button.tsx';
import { Checkbox, Select, TextField } from '../../components/forms/field.tsx';
import { ConfirmButton, Form, useForm } from '../../components/forms/form.tsx';
import { Table } from '../../components/lists/table.tsx';
import { Problem } from '../../components/problem.tsx';
import { Status } from '../../components/status.tsx';
import { Time } from '../../components/time.tsx';
import { graft } from '../../data/graft.ts';
import { usePages } from '../../data/pages.ts';
import { usePermission } from '../../data/session.ts';

const { publications, exports } = graft.adapters;
const pollMs = 1000;
const keyOf = ({ adapter_id, version }: AdapterVersion) => ['adapter', adapter_id, 'publications', version];
const isOpen = ({ status }: AdapterPublication) => status === 'queued' || status === 'running';

/** Where a version and its exports are published on the Hugging Face Hub, with a form for another repository. */
export function Publications({ version }: { version: AdapterVersion }) {
  const { adapter_id: id, version: number } = version;
  const [polls, setPolls] = useState(true);
  const { data, error, refetch } = usePages(
    keyOf(version),
    () => publications.list(id, number, { limit: 100 }),
    { refetchInterval: polls && pollMs },
  );
  const rows = data?.pages.flatMap((page) => page.data) ?? [];
  const isWaiting = data === undefined || rows.some(isOpen);
  if (isWaiting !== polls) setPolls(isWaiting);
  const canWrite = usePermission('publications:write');
  return (
    <div class="stack">
      {canWrite && <PublishForm key={version.id} version={version} />}
      {error && <Problem error={error} onRetry={refetch} />}
      {rows.length > 0 ? (
        <List version={version} rows={rows} canWrite={canWrite} />
      ) : (
        data && <p class="soft">No publications.</p>
      )}
    </div>
  );
}

const ownFiles = 'own';

function PublishForm({ version }: { version: AdapterVersion }) {
  const { adapter_id: id, version: number } = version;
  const made = usePages(['adapter', id, 'exports', number], () => exports.list(id, number, { limit: 100 }));
  const finished = (made.data?.pages.flatMap((page) => page.data) ?? []).filter(
    ({ status }: AdapterExport) => status === 'succeeded',
  );
  const form = useForm({
    initial: { repository: '', export_id: ownFiles, public: false },
    run: ({ repository, export_id, public: isPublic }) =>
      publications.create(id, number, {
        repository: repository.trim(),
        export_id: export_id === ownFiles ? null : export_id,
        public: isPublic,
      }),
    invalidates: [keyOf(version)],
  });
  return (
    <Form
      form={form}
      footer={
        <div>
          <Button type="submit" busy={form.isPending}>
            Publish
          </Button>
        </div>
      }
    >
      <TextField
        label="Repository"
        {...form.field('repository')}
        required
        maxLength={200}
        placeholder="owner/name"
        spellcheck={false}
        hint="A model repository of the Hugging Face Hub, which is created if necessary. An admin stores the token under Team, Hugging Face Hub."
      />
      <Select
        label="Files"
        {...form.field('export_id')}
        options={[
          [ownFiles, 'The adapter itself'],
          ...finished.map(
            ({ id: exportId, format, created_at: at }) =>
              [exportId, `Export ${format}, ${new Date(at * 1000).toLocaleString()}`] as const,
          ),
        ]}
      />
      <Checkbox
        label="Permit a public repository"
        checked={form.values.public}
        onChecked={(on) => form.set({ public: on })}
      />
    </Form>
  );
}

const List = ({
  version,
  rows,
  canWrite,
}: {
  version: AdapterVersion;
  rows: AdapterPublication[];
  canWrite: boolean;
}) => (
  <Table
    label="Publications"
    minWidth="44rem"
    rows={rows}
    rowKey={({ id }) => id}
    columns={[
      { head: 'Repository', cell: (publication) => <Described publication={publication} /> },
      { head: 'Files', cell: ({ format }) => format ?? 'adapter', width: '8rem' },
      { head: 'Status', cell: ({ status }) => <Status status={status} />, width: '9rem' },
      { head: 'Created', cell: ({ created_at: at }) => <Time at={at} />, width: '9rem' },
      {
        actions: (publication) =>
          canWrite && (
            <ConfirmButton
              button={{ kind: 'quiet', small: true, children: 'Delete' }}
              title={`Delete the publication in ${publication.repository}?`}
              action="Delete publication"
              run={() => publications.delete(version.adapter_id, version.version, publication.id)}
              invalidates={[keyOf(version)]}
            >
              <p>
                Its record is removed, and it is stopped if it is not complete. Files that are on the Hub
                remain there.
              </p>
            </ConfirmButton>
          ),
      },
    ]}
  />
);

function Described({ publication }: { publication: AdapterPublication }) {
  const { repository, url, error, public: isPublic } = publication;
  return (
    <>
      {url === null ? (
        repository
      ) : (
        <a href={url} target="_blank" rel="noreferrer">
          {repository}
        </a>
      )}
      <div class="small soft">{isPublic ? 'public permitted' : 'private'}</div>
      {error && <div class="small bad">{error.message}</div>}
    </>
  );
}
