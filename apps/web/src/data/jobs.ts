import type { FineTuningJob, JobListParams, JobLosses, JobStatus, Page } from '@graft/client';
import {
  type InfiniteData,
  type QueryClient,
  useQueries,
  useQuery,
  useQueryClient,
} from '@tanstack/preact-query';
import { useAction } from '../components/forms/form.tsx';
import { graft } from './graft.ts';
import { useStream } from './live.ts';
import { usePages } from './pages.ts';

/** Filters of the job list; '' does not filter. */
export interface JobFilters {
  status: string;
  model: string;
  owner: string;
  search: string;
}

const pageSize = 100;
const pollMs = 4_000;

export const jobsKey = ['jobs'];
export const jobKey = (id: string) => ['job', id];

export const isFinished = (status: JobStatus): boolean =>
  ['succeeded', 'failed', 'cancelled'].includes(status);

/** Pages of the team's jobs, newest first, kept up to date by a stream of changes. */
export function useJobs({ status, model, owner, search }: JobFilters) {
  const cache = useQueryClient();
  const liveness = useStream('jobs', (signal) => graft.fineTuning.jobs.changes({ signal, reconnects: 0 }), {
    onItems: (jobs) => mergeJobs(cache, jobs),
    onOpen: () => void cache.invalidateQueries({ queryKey: jobsKey }),
  });
  const params: JobListParams = {
    limit: pageSize,
    ...(status && { status: status as JobStatus }),
    ...(model && { model }),
    ...(owner && { created_by: owner }),
    ...(search && { search }),
  };
  return usePages([...jobsKey, params], () => graft.fineTuning.jobs.list(params), {
    refetchInterval: liveness === 'polling' ? pollMs : false,
    keepPrevious: true,
  });
}

/** A job. `isLive` false: no stream reports its changes, so it is polled. */
export function useJob(id: string, isLive = true) {
  return useQuery({
    queryKey: jobKey(id),
    queryFn: ({ signal }) => graft.fineTuning.jobs.retrieve(id, { signal }),
    refetchInterval: isLive ? false : pollMs,
  });
}

export const useAttempts = (id: string) =>
  useQuery({ queryKey: ['attempts', id], queryFn: () => graft.fineTuning.jobs.attempts(id) });

/** Puts changed jobs into the cache. Lists that lack a matching new job are refetched. */
export function mergeJobs(cache: QueryClient, jobs: readonly FineTuningJob[]): void {
  for (const job of jobs) cache.setQueryData(jobKey(job.id), job);
  for (const { queryKey, state } of cache.getQueryCache().findAll({ queryKey: jobsKey })) {
    const list = state.data as InfiniteData<Page<FineTuningJob>> | undefined;
    if (!list) continue;
    const fresh = new Map(jobs.map((job) => [job.id, job]));
    const matches = jobMatcher(queryKey[1] as JobListParams);
    const pages = list.pages.map((page) => {
      if (!page.data.some(({ id }) => fresh.has(id))) return page;
      return { ...page, data: page.data.map((job) => fresh.get(job.id) ?? job).filter(matches) };
    });
    cache.setQueryData(queryKey, { ...list, pages });
    const known = new Set(list.pages.flatMap(({ data }) => data.map(({ id }) => id)));
    const last = list.pages.at(-1);
    const oldest = last?.has_more ? (last.data.at(-1)?.created_at ?? 0) : 0;
    if (jobs.some((job) => !known.has(job.id) && matches(job) && job.created_at >= oldest))
      void cache.invalidateQueries({ queryKey, exact: true });
  }
}

/** Returns a test that is true for jobs of a list with these parameters; the same rules as the server's. */
function jobMatcher({ status, model, created_by, search }: JobListParams): (job: FineTuningJob) => boolean {
  const text = search?.toLowerCase();
  return (job) =>
    (!status || job.status === status) &&
    (!model || job.model === model) &&
    (!created_by || job.created_by === created_by) &&
    (!text ||
      [job.id, job.suffix, job.model, job.fine_tuned_model].some((field) =>
        field?.toLowerCase().includes(text),
      ));
}

/** Sampled losses for the sparklines, by job id. One request per list page; finished jobs are read once. */
export function useLosses(pages: readonly (readonly FineTuningJob[])[]): ReadonlyMap<string, number[]> {
  const requests = pages.flatMap((page) => {
    const trained = page.filter(
      ({ progress, trained_tokens }) => progress !== null || trained_tokens !== null,
    );
    const ids = (finished: boolean) =>
      trained.filter(({ status }) => isFinished(status) === finished).map(({ id }) => id);
    return [
      { ids: ids(true), everyMs: false as const },
      { ids: ids(false), everyMs: 10_000 },
    ].filter(({ ids }) => ids.length > 0);
  });
  return useQueries({
    queries: requests.map(({ ids, everyMs }) => ({
      queryKey: ['losses', ids],
      queryFn: ({ signal }: { signal: AbortSignal }) =>
        graft.fineTuning.jobs.losses(ids, { points: 40, signal }),
      refetchInterval: everyMs,
      staleTime: everyMs || Number.POSITIVE_INFINITY,
    })),
    combine: lossesById,
  });
}

const lossesById = (results: readonly { data: JobLosses[] | undefined }[]): ReadonlyMap<string, number[]> =>
  new Map(
    results.flatMap(({ data }) =>
      (data ?? []).map((each) => [each.fine_tuning_job_id, each.losses] as const),
    ),
  );

export type JobAction = 'pause' | 'resume' | 'cancel';

export function useJobAction() {
  const cache = useQueryClient();
  return useAction({
    run: ({ id, action }: { id: string; action: JobAction }) => graft.fineTuning.jobs[action](id),
    onDone: (job) => mergeJobs(cache, [job]),
  });
}
