import type { Adapter } from '@graft/client';
import { Link } from 'wouter-preact';
import '../../styles/pages/adapters.css';
import { Empty } from '../../components/empty.tsx';
import { Button, LinkButton } from '../../components/forms/button.tsx';
import { Choice, Select } from '../../components/forms/field.tsx';
import { SearchField } from '../../components/forms/search-field.tsx';
import { More } from '../../components/lists/more.tsx';
import { type Column, Table } from '../../components/lists/table.tsx';
import { PageHead } from '../../components/page-head.tsx';
import { Problem } from '../../components/problem.tsx';
import { Tag } from '../../components/tag.tsx';
import { Time } from '../../components/time.tsx';
import { Waiting } from '../../components/waiting.tsx';
import { useAdapters } from '../../data/adapters.ts';
import { useModels } from '../../data/models.ts';
import { useQueryState } from '../../router/query-state.ts';
import { none } from '../../text/numbers.ts';
import { Deleted } from './deleted.tsx';

const columns: Column<Adapter>[] = [
  {
    head: 'Name',
    cell: ({ id, name }) => (
      <Link href={`/adapters/${id}`} class="cut" title={name}>
        {name}
      </Link>
    ),
    names: true,
    width: '12rem',
  },
  {
    head: 'Base model',
    cell: ({ base_model }) => (
      <span class="cut" title={base_model}>
        {base_model}
      </span>
    ),
    width: '11rem',
  },
  { head: 'Newest', cell: ({ latest_version }) => latest_version ?? none, end: true, width: '5.5rem' },
  { head: 'Tags', cell: (adapter) => <Tags {...adapter} />, width: '15rem' },
  {
    head: 'Note',
    cell: ({ note }) => (
      <span class="cut soft" title={note ?? ''}>
        {note}
      </span>
    ),
  },
  { head: 'Created', cell: ({ created_at }) => <Time at={created_at} />, width: '8rem' },
];

const shownTags = 3;

/** Each tag with the version that it points at; of very many the first. */
function Tags({ id, tags }: Adapter) {
  return (
    <span class="row">
      {tags.slice(0, shownTags).map(({ tag, version }) => (
        <Tag key={tag} name={tag} version={version} href={`/adapters/${id}?version=${version}`} />
      ))}
      {tags.length > shownTags && <span class="small soft">and {tags.length - shownTags} more</span>}
    </span>
  );
}

/** Every adapter of the team: what jobs made and what was uploaded. */
export function Adapters() {
  const [state, set] = useQueryState({ search: '', base: '', show: 'kept' as string });
  const isDeleted = state.show === 'deleted';
  return (
    <>
      <PageHead
        title="Adapters"
        actions={
          <LinkButton icon="compare" href="/adapters/compare">
            Compare two
          </LinkButton>
        }
      />
      <search class="adapters-filters">
        <Choice
          label="Which"
          value={isDeleted ? 'deleted' : 'kept'}
          onValue={(show) => set({ show })}
          options={[
            ['kept', 'Kept'],
            ['deleted', 'Deleted'],
          ]}
        />
        {!isDeleted && <Filters search={state.search} base={state.base} onFilters={set} />}
      </search>
      {isDeleted ? (
        <Deleted />
      ) : (
        <Kept search={state.search} base={state.base} onAll={() => set({ search: '', base: '' })} />
      )}
    </>
  );
}

function Filters({
  search,
  base,
  onFilters,
}: {
  search: string;
  base: string;
  onFilters: (changes: { search?: string; base?: string }) => void;
}) {
  const { data: models = [] } = useModels();
  const bases = models.flatMap(({ id, base_model }) => (base_model === null ? id : []));
  const all = base && !bases.includes(base) ? [...bases, base] : bases;
  return (
    <>
      <SearchField
        label="Search by name"
        placeholder="Part of a name"
        value={search}
        onValue={(search) => onFilters({ search })}
      />
      <Select
        label="Base model"
        bare
        value={base}
        onValue={(base) => onFilters({ base })}
        options={[['', 'Any base model'], ...all.map((id) => [id, id] as const)]}
      />
    </>
  );
}

function Kept({ search, base, onAll }: { search: string; base: string; onAll: () => void }) {
  const query = useAdapters({ search, base });
  const { data, error, refetch, isPlaceholderData } = query;
  if (error) return <Problem error={error} onRetry={refetch} />;
  if (!data) return <Waiting />;
  const adapters = data.pages.flatMap((page) => page.data);
  if (adapters.length === 0)
    return search || base ? (
      <Empty title="No adapter is like that">
        <p>Search for less, or take the base model away.</p>
        <Button onClick={onAll}>Show all adapters</Button>
      </Empty>
    ) : (
      <Empty title="No adapters yet">
        <p>
          An adapter is what a job trains: a small file that goes onto its base model. Each job of one name
          makes the next version. One that was made elsewhere is uploaded with{' '}
          <code>graft adapters upload</code>.
        </p>
        <LinkButton href="/jobs">Go to the jobs</LinkButton>
      </Empty>
    );
  return (
    <div class="stack" aria-busy={isPlaceholderData}>
      <Table label="Adapters" columns={columns} rows={adapters} rowKey={({ id }) => id} minWidth="62rem" />
      <More of={query} />
    </div>
  );
}
