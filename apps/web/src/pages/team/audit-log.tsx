import { Cut } from '../../components/cut.tsx';
import { DownloadLink } from '../../components/forms/button.tsx';
import { TextField } from '../../components/forms/field.tsx';
import { Listing } from '../../components/lists/listing.tsx';
import { LongText } from '../../components/long-text.tsx';
import { Time } from '../../components/time.tsx';
import { graft } from '../../data/graft.ts';
import { usePages } from '../../data/pages.ts';
import { useDebouncedValue } from '../../data/use-debounced-value.ts';
import { useQueryState } from '../../router/query-state.ts';

const filters = { action: '', actor: '', target: '', since: '', until: '' };

export function AuditLog() {
  const [state, , field] = useQueryState(filters);
  // Requested when typing pauses.
  const params = useDebouncedValue(toParams(state));
  const entries = usePages(['audit', params], () => graft.team.audit.list({ ...params, limit: 100 }));
  const exportLink = (format: string) =>
    `/v1/audit/export?${new URLSearchParams({ ...toStrings(params), format, limit: '100000' })}`;
  const isFiltered = Object.keys(params).length > 0;
  return (
    <section class="panel">
      <div class="section-head">
        <p class="soft">Newest first. Entries cannot be changed or removed.</p>
        <div class="row">
          <DownloadLink icon="download" href={exportLink('csv')} name="audit.csv">
            CSV
          </DownloadLink>
          <DownloadLink icon="download" href={exportLink('jsonl')} name="audit.jsonl">
            JSON
          </DownloadLink>
        </div>
      </div>
      <search class="filters">
        <TextField label="Action" placeholder="job.* or api_key.create" {...field('action')} />
        <TextField label="Actor" placeholder="Key or member ID" {...field('actor')} />
        <TextField label="Target" placeholder="ID" {...field('target')} />
        <TextField label="From" type="date" {...field('since')} />
        <TextField label="To" type="date" {...field('until')} />
      </search>
      <Listing
        pages={entries}
        label="Audit log"
        minWidth="56rem"
        emptyTitle={isFiltered ? 'No matching entries' : 'No entries yet'}
        emptyText={
          isFiltered
            ? 'Change or remove a filter. An entry must match all of them.'
            : 'Actions of members and API keys are recorded here.'
        }
        columns={[
          { head: 'Time', width: '8.5rem', cell: (row) => <Time at={row.created_at} form="clock" /> },
          { head: 'Action', width: '12rem', isRowHeader: true, cell: ({ action }) => action },
          { head: 'Target', width: '11rem', cell: ({ target }) => <Id id={target} /> },
          {
            head: 'Actor',
            width: '11rem',
            cell: ({ person_id, key_id, system }) => (
              <Id id={person_id ?? key_id ?? system ?? 'Operator or Graft'} />
            ),
          },
          {
            head: 'Details',
            cell: ({ detail }) =>
              detail !== null && (
                <code class="small soft">
                  <LongText text={JSON.stringify(detail)} />
                </code>
              ),
          },
        ]}
      />
    </section>
  );
}

const Id = ({ id }: { id: string }) => <Cut isCode text={id} class="small" />;

/** Query parameters of the filters. Dates are whole days in the user's time zone. */
function toParams({ action, actor, target, since, until }: typeof filters) {
  const unixTime = (day: string, addedDays: number) => {
    const date = new Date(`${day}T00:00`);
    date.setDate(date.getDate() + addedDays);
    return Number.isNaN(date.getTime()) ? undefined : Math.floor(date.getTime() / 1000);
  };
  const all = {
    action: action.trim() || undefined,
    actor: actor.trim() || undefined,
    target: target.trim() || undefined,
    since: unixTime(since, 0),
    until: unixTime(until, 1),
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as Parameters<
    typeof graft.team.audit.list
  >[0] &
    object;
}

const toStrings = (params: object) =>
  Object.fromEntries(Object.entries(params).map(([name, value]) => [name, String(value)]));
