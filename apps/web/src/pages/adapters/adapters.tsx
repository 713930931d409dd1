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
    isRowHeader: true,
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
  { head: 'Latest', cell: ({ latest_version }) => latest_version ?? none, end: true, width: '5.5rem' },
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

const maxTags = 3;

/** The first tags of an adapter, with the versions they point to. */
function Tags({ id, tags }: Adapter) {
  return (
    <span class="row">
      {tags.slice(0, maxTags).map(({ tag, version }) => (
        <Tag key={tag} name={tag} version={version} href={`/adapters/${id}?version=${version}`} />
      ))}
      {tags.length > maxTags && <span class="small soft">and {tags.length - maxTags} more</span>}
    </span>
  );
}

/** The team's adapters, trained by jobs or uploaded. */
export function Adapters() {
  const [state, set] = useQueryState({ search: '', base: '', show: 'kept' as string });
  const isDeleted = state.show === 'deleted';
  return (
    <>
      <PageHead
        title="Adapters"
        actions={
          <LinkButton icon="compare" href="/adapters/compare">
            Compare versions
          </LinkButton>
        }
      />
      <search class="adapters-filters">
        <Choice
          label="Show"
          value={isDeleted ? 'deleted' : 'kept'}
          onValue={(show) => set({ show })}
          options={[
            ['kept', 'Active'],
            ['deleted', 'Deleted'],
          ]}
        />
        {!isDeleted && <Filters search={state.search} base={state.base} onFilters={set} />}
      </search>
      {isDeleted ? (
        <Deleted />
      ) : (
        <ActiveAdapters
          search={state.search}
          base={state.base}
          onClear={() => set({ search: '', base: '' })}
        />
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
        placeholder="Search by name"
        value={search}
        onValue={(search) => onFilters({ search })}
      />
      <Select
        label="Base model"
        hideLabel
        value={base}
        onValue={(base) => onFilters({ base })}
        options={[['', 'All base models'], ...all.map((id) => [id, id] as const)]}
      />
    </>
  );
}

function ActiveAdapters({ search, base, onClear }: { search: string; base: string; onClear: () => void }) {
  const query = useAdapters({ search, base });
  const { data, error, refetch, isPlaceholderData } = query;
  if (error) return <Problem error={error} onRetry={refetch} />;
  if (!data) return <Waiting />;
  const adapters = data.pages.flatMap((page) => page.data);
  if (adapters.length === 0)
    return search || base ? (
      <Empty title="No matching adapters">
        <p>Change the search or the base model filter.</p>
        <Button onClick={onClear}>Clear filters</Button>
      </Empty>
    ) : (
      <Empty title="No adapters yet">
        <p>
          Jobs train adapters: small files that are applied to a base model. Each job with the same name
          creates the next version. Upload adapters trained elsewhere with <code>graft adapters upload</code>.
        </p>
        <LinkButton href="/jobs">Go to jobs</LinkButton>
      </Empty>
    );
  return (
    <div class="stack" aria-busy={isPlaceholderData}>
      <Table label="Adapters" columns={columns} rows={adapters} rowKey={({ id }) => id} minWidth="62rem" />
      <More query={query} />
    </div>
  );
}
