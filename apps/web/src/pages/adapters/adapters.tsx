import type { Adapter, DeletedAdapterVersion } from '@graft/client';
import { Cut } from '../../components/cut.tsx';
import { Button, LinkButton } from '../../components/forms/button.tsx';
import { Choice, Select } from '../../components/forms/field.tsx';
import { useAction } from '../../components/forms/form.tsx';
import { SearchField } from '../../components/forms/search-field.tsx';
import { Listing } from '../../components/lists/listing.tsx';
import type { Column } from '../../components/lists/table.tsx';
import { PageHead } from '../../components/page-head.tsx';
import { Tags } from '../../components/tag.tsx';
import { Time } from '../../components/time.tsx';
import { adapterKeys, useAdapters, useDeletedVersions } from '../../data/adapters.ts';
import { graft } from '../../data/graft.ts';
import { useBaseModels } from '../../data/models.ts';
import { usePermission } from '../../data/session.ts';
import { useQueryState } from '../../router/query-state.ts';
import { none } from '../../text/numbers.ts';

const columns: Column<Adapter>[] = [
  { head: 'Name', cell: ({ id, name }) => <Cut text={name} href={`/adapters/${id}`} />, width: '12rem' },
  { head: 'Base model', cell: ({ base_model }) => <Cut text={base_model} />, width: '11rem' },
  { head: 'Latest', cell: ({ latest_version }) => latest_version ?? none, end: true, width: '5.5rem' },
  {
    head: 'Tags',
    cell: ({ id, tags }) => (
      <Tags
        tags={tags.map(({ tag, version }) => ({
          name: tag,
          version,
          href: `/adapters/${id}?version=${version}`,
        }))}
      />
    ),
    width: '15rem',
  },
  { head: 'Note', cell: ({ note }) => <Cut text={note} class="soft" /> },
  { head: 'Created', cell: ({ created_at }) => <Time at={created_at} />, width: '8rem' },
];

export function Adapters() {
  const [{ search, base, show }, set, field] = useQueryState({ search: '', base: '', show: 'kept' });
  const bases = useBaseModels();
  const canWrite = usePermission('adapters:write');
  const adapters = useAdapters({ ...(search && { search }), ...(base && { base_model: base }) });
  const isDeleted = show === 'deleted';
  const isFiltered = search !== '' || base !== '';
  return (
    <>
      <PageHead
        title="Adapters"
        actions={
          <>
            {canWrite && (
              <LinkButton icon="add" href="/adapters/combine">
                Combine versions
              </LinkButton>
            )}
            <LinkButton icon="compare" href="/adapters/compare">
              Compare versions
            </LinkButton>
          </>
        }
      />
      <search class="adapters-filters row">
        <Choice
          label="Show"
          {...field('show')}
          value={isDeleted ? 'deleted' : 'kept'}
          options={{ kept: 'Active', deleted: 'Deleted' }}
        />
        {!isDeleted && (
          <>
            <SearchField label="Search by name" placeholder="Search by name" {...field('search')} />
            <Select
              label="Base model"
              hideLabel
              options={[['', 'All base models'], ...bases]}
              {...field('base')}
            />
          </>
        )}
      </search>
      {isDeleted ? (
        <Deleted />
      ) : (
        <div class="stack" aria-busy={adapters.isPlaceholderData}>
          <Listing
            pages={adapters}
            label="Adapters"
            minWidth="62rem"
            isScrolled
            columns={columns}
            emptyTitle={isFiltered ? 'No matching adapters' : 'No adapters yet'}
            emptyText={
              isFiltered ? (
                'Change the search or the base model filter.'
              ) : (
                <>
                  Jobs train adapters: small files that are applied to a base model. Each job with the same
                  name creates the next version. Upload adapters trained elsewhere with{' '}
                  <code>graft adapters upload</code>.
                </>
              )
            }
            emptyAction={
              isFiltered ? (
                <Button onClick={() => set({ search: '', base: '' })}>Clear filters</Button>
              ) : (
                <LinkButton href="/jobs">Go to jobs</LinkButton>
              )
            }
          />
        </div>
      )}
    </>
  );
}

function Deleted() {
  const canWrite = usePermission('adapters:write');
  const restore = useAction({
    run: ({ adapter_id, version }: DeletedAdapterVersion) =>
      graft.adapters.versions.restore(adapter_id, version),
    invalidates: adapterKeys,
    successMessage: ({ adapter_name, version }) => `Version ${version} of ${adapter_name} restored.`,
  });
  return (
    <Listing
      pages={useDeletedVersions()}
      label="Deleted versions"
      minWidth="48rem"
      emptyTitle="No deleted versions"
      emptyText="Deleted versions stay here for a few days and can be restored."
      columns={[
        { head: 'Model', cell: ({ model }) => <Cut text={model} /> },
        { head: 'Version', cell: ({ version }) => version, end: true, width: '5.5rem' },
        { head: 'Deleted', cell: ({ deleted_at }) => <Time at={deleted_at} />, width: '8rem' },
        { head: 'Restorable until', cell: (each) => <Time at={each.restorable_until} />, width: '9rem' },
        {
          width: '7rem',
          actions: (version) => [
            canWrite && {
              text: 'Restore',
              kind: 'plain',
              busy: restore.isPending && restore.variables.id === version.id,
              run: () => restore.mutate(version),
            },
          ],
        },
      ]}
    />
  );
}
