import { Empty } from '../../components/empty.tsx';
import { TextField } from '../../components/forms/field.tsx';
import { Icon } from '../../components/icon.tsx';
import { Listing } from '../../components/lists/listing.tsx';
import { LongText } from '../../components/long-text.tsx';
import { Time } from '../../components/time.tsx';
import { graft } from '../../data/graft.ts';
import { useLater } from '../../data/later.ts';
import { usePages } from '../../data/pages.ts';
import { useQueryState } from '../../router/query-state.ts';

const filters = { action: '', actor: '', target: '', since: '', until: '' };

/** Who did what in the team. */
export function AuditLog() {
  const [state, change] = useQueryState(filters);
  // Asked for once the typing has paused.
  const asked = useLater(paramsOf(state));
  const entries = usePages(['audit', asked], () => graft.team.audit.list({ ...asked, limit: 100 }));
  const exported = (format: string) =>
    `/v1/audit/export?${new URLSearchParams({ ...asText(asked), format, limit: '100000' })}`;
  const isFiltered = Object.keys(asked).length > 0;
  return (
    <section class="section">
      <div class="section-head">
        <p class="soft">Newest first. Nothing is ever changed or removed here.</p>
        <div class="row">
          <a class="button" href={exported('csv')} download="audit.csv">
            <Icon name="download" /> CSV
          </a>
          <a class="button" href={exported('jsonl')} download="audit.jsonl">
            <Icon name="download" /> JSON
          </a>
        </div>
      </div>
      <search class="filters">
        <TextField
          label="Action"
          placeholder="job.* or api_key.create"
          value={state.action}
          onValue={(action) => change({ action })}
        />
        <TextField
          label="Who"
          placeholder="id of a key or person"
          value={state.actor}
          onValue={(actor) => change({ actor })}
        />
        <TextField
          label="To what"
          placeholder="its id"
          value={state.target}
          onValue={(target) => change({ target })}
        />
        <TextField label="From" type="date" value={state.since} onValue={(since) => change({ since })} />
        <TextField label="To" type="date" value={state.until} onValue={(until) => change({ until })} />
      </search>
      <Listing
        pages={entries}
        label="Audit log"
        minWidth="56rem"
        empty={
          <Empty title={isFiltered ? 'Nothing like that was done' : 'Nothing was done yet'}>
            <p>
              {isFiltered
                ? 'Loosen a filter: all of them hold at once.'
                : 'What people and keys do stands here.'}
            </p>
          </Empty>
        }
        columns={[
          { head: 'When', width: '8.5rem', cell: (row) => <Time at={row.created_at} form="clock" /> },
          { head: 'Action', width: '12rem', names: true, cell: ({ action }) => action },
          { head: 'To what', width: '11rem', cell: ({ target }) => <Id of={target} /> },
          {
            head: 'Who',
            width: '11rem',
            cell: ({ person_id, key_id, system }) => (
              <Id of={person_id ?? key_id ?? system ?? 'the operator, or Graft'} />
            ),
          },
          {
            head: 'More',
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

const Id = ({ of: id }: { of: string }) => (
  <code class="cut small" title={id}>
    {id}
  </code>
);

/** Days are the reader's: from the first moment of the one to the last of the other. */
function paramsOf({ action, actor, target, since, until }: typeof filters) {
  const second = (day: string, after: number) => {
    const date = new Date(`${day}T00:00`);
    date.setDate(date.getDate() + after);
    return Number.isNaN(date.getTime()) ? undefined : Math.floor(date.getTime() / 1000);
  };
  const all = {
    action: action.trim() || undefined,
    actor: actor.trim() || undefined,
    target: target.trim() || undefined,
    since: second(since, 0),
    until: second(until, 1),
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as Parameters<
    typeof graft.team.audit.list
  >[0] &
    object;
}

const asText = (params: object) =>
  Object.fromEntries(Object.entries(params).map(([name, value]) => [name, String(value)]));
