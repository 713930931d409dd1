import type { FineTuningJob, JobListParams, JobLosses, JobStatus } from '@graft/client';
import {
  type InfiniteData,
  type QueryClient,
  useInfiniteQuery,
  useMutation,
  useQueries,
  useQuery,
  useQueryClient,
} from '@tanstack/preact-query';
import { toastError } from '../components/toast.tsx';
import { graft } from './graft.ts';
import { type Liveness, useStream } from './live.ts';

/** Of the list; '' does not filter. */
export interface JobFilters {
  status: string;
  model: string;
  owner: string;
  search: string;
}

/** Rows that one page of the list brings. */
const pageSize = 100;
const pollMs = 4_000;

const listKey = ['jobs'];
export const jobKey = (id: string) => ['job', id];

type Page = { data: FineTuningJob[]; has_more: boolean; last_id?: string | null };

export const isOver = (status: JobStatus): boolean => ['succeeded', 'failed', 'cancelled'].includes(status);

/** The team's jobs, newest first, more as they are asked for, and told anew as they change. */
export function useJobs({ status, model, owner, search }: JobFilters) {
  const cache = useQueryClient();
  const liveness = useStream('jobs', (signal) => graft.fineTuning.jobs.changes({ signal, reconnects: 0 }), {
    onItems: (jobs) => mergeJobs(cache, jobs),
    onOpen: () => void cache.invalidateQueries({ queryKey: listKey }),
  });
  const params: JobListParams = {
    limit: pageSize,
    ...(status && { status: status as JobStatus }),
    ...(model && { model }),
    ...(owner && { created_by: owner }),
    ...(search && { search }),
  };
  return useInfiniteQuery({
    queryKey: [...listKey, params],
    queryFn: ({ pageParam }): Promise<Page> =>
      graft.fineTuning.jobs.list(params).page(pageParam || undefined),
    initialPageParam: '',
    getNextPageParam: (page: Page) => (page.has_more ? page.last_id : undefined),
    placeholderData: (before) => before,
    refetchInterval: byPolling(liveness),
  });
}

const byPolling = (liveness: Liveness) => (liveness === 'polling' ? pollMs : false);

/** `live` false: nothing tells of its changes, and it is asked for every few seconds. */
export function useJob(id: string, isLive = true) {
  return useQuery({
    queryKey: jobKey(id),
    queryFn: ({ signal }) => graft.fineTuning.jobs.retrieve(id, { signal }),
    refetchInterval: isLive ? false : pollMs,
  });
}

/** Into the lists and the pages that show them. A list that lacks one which belongs there is read anew. */
export function mergeJobs(cache: QueryClient, jobs: readonly FineTuningJob[]): void {
  for (const job of jobs) cache.setQueryData(jobKey(job.id), job);
  for (const { queryKey, state } of cache.getQueryCache().findAll({ queryKey: listKey })) {
    const list = state.data as InfiniteData<Page> | undefined;
    if (!list) continue;
    const fresh = new Map(jobs.map((job) => [job.id, job]));
    const fits = fitting(queryKey[1] as JobListParams);
    const pages = list.pages.map((page) => {
      if (!page.data.some(({ id }) => fresh.has(id))) return page;
      return { ...page, data: page.data.map((job) => fresh.get(job.id) ?? job).filter(fits) };
    });
    cache.setQueryData(queryKey, { ...list, pages });
    const known = new Set(list.pages.flatMap(({ data }) => data.map(({ id }) => id)));
    const last = list.pages.at(-1);
    const oldest = last?.has_more ? (last.data.at(-1)?.created_at ?? 0) : 0;
    if (jobs.some((job) => !known.has(job.id) && fits(job) && job.created_at >= oldest))
      void cache.invalidateQueries({ queryKey, exact: true });
  }
}

/** Whether a list of these parameters has a job, as the server decides it. */
function fitting({ status, model, created_by, search }: JobListParams): (job: FineTuningJob) => boolean {
  const part = search?.toLowerCase();
  return (job) =>
    (!status || job.status === status) &&
    (!model || job.model === model) &&
    (!created_by || job.created_by === created_by) &&
    (!part ||
      [job.id, job.suffix, job.model, job.fine_tuned_model].some((text) =>
        text?.toLowerCase().includes(part),
      ));
}

/** Few points of the loss of each job, by its id, asked for by the page of the list; of those that are over once. */
export function useLosses(pages: readonly (readonly FineTuningJob[])[]): ReadonlyMap<string, number[]> {
  const parts = pages.flatMap((page) => {
    const trained = page.filter(
      ({ progress, trained_tokens }) => progress !== null || trained_tokens !== null,
    );
    const idsOf = (over: boolean) =>
      trained.filter(({ status }) => isOver(status) === over).map(({ id }) => id);
    return [
      { ids: idsOf(true), everyMs: false as const },
      { ids: idsOf(false), everyMs: 10_000 },
    ].filter(({ ids }) => ids.length > 0);
  });
  return useQueries({
    queries: parts.map(({ ids, everyMs }) => ({
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

/** What may be done to a job now. */
export function actionsOf({ status }: FineTuningJob): Record<JobVerb | 'delete', boolean> {
  return {
    pause: status === 'running' || status === 'queued',
    resume: status === 'paused',
    cancel: !isOver(status),
    delete: isOver(status),
  };
}

export type JobVerb = 'pause' | 'resume' | 'cancel';

export function useJobVerb() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: ({ id, verb }: { id: string; verb: JobVerb }) => graft.fineTuning.jobs[verb](id),
    onSuccess: (job) => mergeJobs(cache, [job]),
    onError: toastError,
  });
}

/** Deletes a job that is over, for good. */
export function useDeleteJob() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => graft.fineTuning.jobs.delete(id),
    onSuccess: (_, id) => {
      cache.removeQueries({ queryKey: jobKey(id) });
      return cache.invalidateQueries({ queryKey: listKey });
    },
    onError: toastError,
  });
}
