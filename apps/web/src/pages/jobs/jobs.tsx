import { useState } from 'preact/hooks';
import { Empty } from '../../components/empty.tsx';
import { Button, LinkButton } from '../../components/forms/button.tsx';
import { PageHead } from '../../components/page-head.tsx';
import { Problem } from '../../components/problem.tsx';
import { Waiting } from '../../components/waiting.tsx';
import { type JobFilters, useJobs, useLosses } from '../../data/jobs.ts';
import { useMay } from '../../data/session.ts';
import { useQueryState } from '../../router/query-state.ts';
import { count } from '../../text/numbers.ts';
import { Filters } from './filters.tsx';
import { FirstRun } from './first-run.tsx';
import { JobTable } from './job-table.tsx';
import { useInSight } from './use-in-sight.ts';

const unfiltered: JobFilters = { status: '', model: '', owner: '', search: '' };

/** Every job of the team, as it is now. */
export function Jobs() {
  const [filters, setFilters] = useQueryState({ ...unfiltered });
  const mayTrain = useMay('jobs:write');
  const [picked, setPicked] = useState<readonly string[]>([]);
  const { data, error, refetch, hasNextPage, isFetchingNextPage, fetchNextPage, isPlaceholderData } =
    useJobs(filters);
  const pages = data?.pages.map((page) => page.data) ?? [];
  const jobs = pages.flat();
  const losses = useLosses(pages);
  const end = useInSight(() => hasNextPage && !isFetchingNextPage && fetchNextPage());
  const isFiltered = Object.values(filters).some(Boolean);
  const isFirst = data !== undefined && jobs.length === 0 && !isFiltered;

  const compare = picked.length > 1 && (
    <LinkButton icon="compare" href={`/compare?jobs=${picked.join()}`}>
      Compare {picked.length}
    </LinkButton>
  );
  return (
    <>
      <PageHead
        title="Jobs"
        actions={
          <>
            {compare}
            {mayTrain && (
              <LinkButton kind="main" icon="add" href="/jobs/new">
                New job
              </LinkButton>
            )}
          </>
        }
      />
      {isFirst ? <FirstRun /> : <Filters filters={filters} onFilters={setFilters} />}
      {error && <Problem error={error} onRetry={refetch} />}
      {!data && !error && <Waiting />}
      {data && jobs.length === 0 && isFiltered && (
        <Empty title="No job is like that">
          <p>Take a filter away, or search for less.</p>
          <Button onClick={() => setFilters(unfiltered)}>Show all jobs</Button>
        </Empty>
      )}
      {jobs.length > 0 && (
        <div aria-busy={isPlaceholderData}>
          <JobTable jobs={jobs} losses={losses} picked={picked} onPicked={setPicked} />
          <div ref={end} class="small soft jobs-end" role="status">
            {isFetchingNextPage ? 'More are fetched…' : hasNextPage ? '' : `${count(jobs.length)} shown`}
          </div>
        </div>
      )}
    </>
  );
}
