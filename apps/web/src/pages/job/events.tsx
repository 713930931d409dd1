import type { FineTuningJob, JobEvent } from '@graft/client';
import { Button } from '../../components/forms/button.tsx';
import { Checkbox } from '../../components/forms/field.tsx';
import { Problem } from '../../components/problem.tsx';
import { graft } from '../../data/graft.ts';
import { usePages } from '../../data/pages.ts';
import { useQueryState } from '../../router/query-state.ts';
import { fullTime, timeOfDay } from '../../text/times.ts';

/** The job's events, newest first. Metrics of single steps are optional. */
export function Events({ job }: { job: FineTuningJob }) {
  const [{ metrics }, setState] = useQueryState({ metrics: '' });
  const { data, error, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = usePages(
    ['events', job.id],
    () => graft.fineTuning.jobs.events.list(job.id, { limit: 100 }),
  );
  if (error) return <Problem error={error} onRetry={refetch} />;
  const events = data?.pages.flatMap((page) => page.data) ?? [];
  const shown = metrics ? events : events.filter(({ type }) => type !== 'metrics');
  return (
    <section class="panel" aria-label="Events">
      <Checkbox
        label="Show step metrics"
        checked={metrics === '1'}
        onChecked={(on) => setState({ metrics: on ? '1' : null })}
      />
      {shown.length > 0 && (
        <ol class="event-list">
          {shown.map((event) => (
            <Event key={event.id} event={event} />
          ))}
        </ol>
      )}
      {hasNextPage && (
        <Button busy={isFetchingNextPage} onClick={() => fetchNextPage()}>
          Show more
        </Button>
      )}
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
