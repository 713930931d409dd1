import type { FineTuningJob, JobEvent } from '@graft/client';
import { useInfiniteQuery } from '@tanstack/preact-query';
import { Button } from '../../components/forms/button.tsx';
import { Checkbox } from '../../components/forms/field.tsx';
import { Problem } from '../../components/problem.tsx';
import { graft } from '../../data/graft.ts';
import { useQueryState } from '../../router/query-state.ts';
import { exactly, timeOfDay } from '../../text/times.ts';

/** What happened, newest first; the numbers of single steps only where they are asked for. */
export function Events({ job }: { job: FineTuningJob }) {
  const [{ metrics }, setState] = useQueryState({ metrics: '' });
  const { data, error, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery({
    queryKey: ['events', job.id],
    queryFn: ({ pageParam }) =>
      graft.fineTuning.jobs.events.list(job.id, { limit: 100 }).page(pageParam || undefined),
    initialPageParam: '',
    getNextPageParam: (page) => (page.has_more ? page.data.at(-1)?.id : undefined),
  });
  if (error) return <Problem error={error} onRetry={refetch} />;
  const events = data?.pages.flatMap((page) => page.data) ?? [];
  const shown = metrics ? events : events.filter(({ type }) => type !== 'metrics');
  return (
    <section class="panel" aria-label="Events">
      <Checkbox
        label="With the numbers of steps"
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
          Show earlier ones
        </Button>
      )}
    </section>
  );
}

const Event = ({ event: { created_at, level, message } }: { event: JobEvent }) => (
  <li data-level={level}>
    <time class="soft small" dateTime={new Date(created_at * 1000).toISOString()} title={exactly(created_at)}>
      {timeOfDay(created_at)}
    </time>
    <p>
      {level !== 'info' && <strong>{level === 'warn' ? 'Warning: ' : 'Error: '}</strong>}
      {message}
    </p>
  </li>
);
