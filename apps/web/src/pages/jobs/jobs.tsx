import { useState } from 'preact/hooks';
import { Empty } from '../../components/empty.tsx';
import { Button, LinkButton } from '../../components/forms/button.tsx';
import { More } from '../../components/lists/more.tsx';
import { PageHead } from '../../components/page-head.tsx';
import { Problem } from '../../components/problem.tsx';
import { Waiting } from '../../components/waiting.tsx';
import { type JobFilters, useJobs, useLosses } from '../../data/jobs.ts';
import { usePermission } from '../../data/session.ts';
import { useQueryState } from '../../router/query-state.ts';
import { count } from '../../text/numbers.ts';
import { Filters } from './filters.tsx';
import { FirstRun } from './first-run.tsx';
import { JobTable } from './job-table.tsx';

const unfiltered: JobFilters = { status: '', model: '', owner: '', search: '' };

/** The team's jobs, updated live. */
export function Jobs() {
  const [filters, setFilters, field] = useQueryState({ ...unfiltered });
  const canTrain = usePermission('jobs:write');
  const [selected, setSelected] = useState<readonly string[]>([]);
  const query = useJobs(filters);
  const { data, error, refetch, hasNextPage, isFetchingNextPage, isPlaceholderData } = query;
  const pages = data?.pages.map((page) => page.data) ?? [];
  const jobs = pages.flat();
  const losses = useLosses(pages);
  const isFiltered = Object.values(filters).some(Boolean);
  const isFirst = data !== undefined && jobs.length === 0 && !isFiltered;

  const compare = selected.length > 1 && (
    <LinkButton icon="compare" href={`/compare?jobs=${selected.join()}`}>
      Compare {selected.length}
    </LinkButton>
  );
  return (
    <>
      <PageHead
        title="Jobs"
        actions={
          <>
            {compare}
            {canTrain && (
              <LinkButton kind="main" icon="add" href="/jobs/new">
                New job
              </LinkButton>
            )}
          </>
        }
      />
      {isFirst ? <FirstRun /> : <Filters field={field} />}
      {error && <Problem error={error} onRetry={refetch} />}
      {!data && !error && <Waiting />}
      {data && jobs.length === 0 && isFiltered && (
        <Empty title="No matching jobs">
          <p>Change or remove a filter.</p>
          <Button onClick={() => setFilters(unfiltered)}>Clear filters</Button>
        </Empty>
      )}
      {jobs.length > 0 && (
        <div aria-busy={isPlaceholderData}>
          <JobTable jobs={jobs} losses={losses} selected={selected} onSelectionChange={setSelected} />
          <div class="small soft jobs-end" role="status">
            {isFetchingNextPage ? 'Loading more…' : hasNextPage ? '' : `${count(jobs.length)} shown`}
          </div>
          <More query={query} />
        </div>
      )}
    </>
  );
}
