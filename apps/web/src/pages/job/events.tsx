import type { FineTuningJob, JobEvent } from '@graft/client';
import { Checkbox } from '../../components/forms/field.tsx';
import { ShowMore } from '../../components/lists/more.tsx';
import { Problem } from '../../components/problem.tsx';
import { graft } from '../../data/graft.ts';
import { usePages } from '../../data/pages.ts';
import { useQueryState } from '../../router/query-state.ts';
import { fullTime, timeOfDay } from '../../text/times.ts';

/** The job's events, newest first. Metrics of single steps are optional. */
export function Events({ job }: { job: FineTuningJob }) {
  const [{ metrics }, setState] = useQueryState({ metrics: '' });
  const query = usePages(['events', job.id], () => graft.fineTuning.jobs.events.list(job.id, { limit: 100 }));
  if (query.error) return <Problem error={query.error} onRetry={query.refetch} />;
  const events = query.data?.pages.flatMap((page) => page.data) ?? [];
  const shown = metrics ? events : events.filter(({ type }) => type !== 'metrics');
  return (
    <section class="panel" aria-label="Events">
      <Checkbox
        label="Show step metrics"
        checked={metrics === '1'}
        onChecked={(on) => setState({ metrics: on ? '1' : null })}
      />
      {shown.length > 0 && (
        <ol class="event-list card">
          {shown.map((event) => (
            <Event key={event.id} event={event} />
          ))}
        </ol>
      )}
      {query.hasNextPage && <ShowMore query={query} />}
    </section>
  );
}

const Event = ({ event: { created_at, level, message } }: { event: JobEvent }) => (
  <li data-level={level}>
    <time
      class="soft small"
      dateTime={new Date(created_at * 1000).toISOString()}
      title={fullTime(created_at)}
    >
      {timeOfDay(created_at)}
    </time>
    <p>
      {level !== 'info' && <strong>{level === 'warn' ? 'Warning: ' : 'Error: '}</strong>}
      {message}
    </p>
  </li>
);
