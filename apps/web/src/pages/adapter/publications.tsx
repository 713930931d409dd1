import type { AdapterPublication, AdapterVersion } from '@graft/client';
import { Checkbox, Select, TextField } from '../../components/forms/field.tsx';
import { Confirm, Form, useForm } from '../../components/forms/form.tsx';
import { rowsOf, ShortListing } from '../../components/lists/listing.tsx';
import { Status } from '../../components/status.tsx';
import { Time } from '../../components/time.tsx';
import { graft } from '../../data/graft.ts';
import { usePages } from '../../data/pages.ts';
import { usePermission } from '../../data/session.ts';
import { useExports } from './exports.tsx';

const { publications } = graft.adapters;
const keyOf = ({ adapter_id, version }: AdapterVersion) => ['adapter', adapter_id, 'publications', version];

/** Where a version and its exports are published on the Hugging Face Hub, with a form for another repository. */
export function Publications({ version }: { version: AdapterVersion }) {
  const { adapter_id: id, version: number } = version;
  const pages = usePages(keyOf(version), () => publications.list(id, number, { limit: 100 }), {
    refetchInterval: 1000,
    while: ({ status }) => status === 'queued' || status === 'running',
  });
  const canWrite = usePermission('publications:write');
  return (
    <div class="stack">
      {canWrite && <PublishForm key={version.id} version={version} />}
      <ShortListing
        pages={pages}
        label="Publications"
        minWidth="44rem"
        emptyText="No publications."
        columns={[
          { head: 'Repository', cell: (publication) => <Described publication={publication} /> },
          { head: 'Files', cell: ({ format }) => format ?? 'adapter', width: '8rem' },
          { head: 'Status', cell: ({ status }) => <Status status={status} />, width: '9rem' },
          { head: 'Created', cell: ({ created_at: at }) => <Time at={at} />, width: '9rem' },
          {
            actions: (publication) => [
              canWrite && {
                text: 'Delete',
                dialog: (
                  <Confirm
                    title={`Delete the publication in ${publication.repository}?`}
                    action="Delete publication"
                    run={() => publications.delete(id, number, publication.id)}
                    invalidates={[keyOf(version)]}
                  >
                    <p>
                      Its record is removed, and it is stopped if it is not complete. Files that are on the
                      Hub remain there.
                    </p>
                  </Confirm>
                ),
              },
            ],
          },
        ]}
      />
    </div>
  );
}

const ownFiles = 'own';

function PublishForm({ version }: { version: AdapterVersion }) {
  const finished = rowsOf(useExports(version)).filter(({ status }) => status === 'succeeded');
  const form = useForm({
    initial: { repository: '', export_id: ownFiles, public: false },
    run: ({ repository, export_id, public: isPublic }) =>
      publications.create(version.adapter_id, version.version, {
        repository: repository.trim(),
        export_id: export_id === ownFiles ? null : export_id,
        public: isPublic,
      }),
    invalidates: [keyOf(version)],
  });
  return (
    <Form form={form} action="Publish">
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
            ({ id, format, created_at: at }) =>
              [id, `Export ${format}, ${new Date(at * 1000).toLocaleString()}`] as const,
          ),
        ]}
      />
      <Checkbox label="Permit a public repository" {...form.toggle('public')} />
    </Form>
  );
}

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
