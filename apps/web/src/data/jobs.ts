import type { FineTuningJob, JobStatus } from '@graft/client';
import {
  type InfiniteData,
  type QueryClient,
  useInfiniteQuery,
  useMutation,
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
  const liveness = useStream('jobs', (signal) => graft.fineTuning.jobs.changes({ signal }), {
    onItems: (jobs) => mergeJobs(cache, jobs),
    onOpen: () => void cache.invalidateQueries({ queryKey: listKey }),
  });
  const params = {
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

/** Into the lists and the pages that show them. One that no list has yet may belong into some. */
export function mergeJobs(cache: QueryClient, jobs: readonly FineTuningJob[]): void {
  const byId = new Map(jobs.map((job) => [job.id, job]));
  const unseen = new Set(byId.keys());
  for (const job of jobs) cache.setQueryData(jobKey(job.id), job);
  cache.setQueriesData<InfiniteData<Page>>({ queryKey: listKey }, (list) => {
    if (!list) return list;
    for (const job of list.pages.flatMap(({ data }) => data)) unseen.delete(job.id);
    return {
      ...list,
      pages: list.pages.map((page) =>
        page.data.some(({ id }) => byId.has(id))
          ? { ...page, data: page.data.map((job) => byId.get(job.id) ?? job) }
          : page,
      ),
    };
  });
  if (unseen.size > 0) void cache.invalidateQueries({ queryKey: listKey });
}

/** Few points of the loss of each job, by its id; of those that are over once. */
export function useLosses(jobs: readonly FineTuningJob[]): Map<string, number[]> {
  const trained = jobs.filter(({ progress, trained_tokens }) => progress !== null || trained_tokens !== null);
  const over = useLossesOf(
    trained.filter(({ status }) => isOver(status)),
    false,
  );
  const live = useLossesOf(
    trained.filter(({ status }) => !isOver(status)),
    10_000,
  );
  return new Map([...over, ...live]);
}

function useLossesOf(jobs: readonly FineTuningJob[], everyMs: number | false): Map<string, number[]> {
  const ids = jobs.map(({ id }) => id).sort();
  const { data } = useQuery({
    queryKey: ['losses', ids],
    queryFn: async ({ signal }) => {
      const parts = Array.from({ length: Math.ceil(ids.length / 100) }, (_, i) =>
        ids.slice(i * 100, i * 100 + 100),
      );
      const found = await Promise.all(
        parts.map((part) => graft.fineTuning.jobs.losses(part, { points: 40, signal })),
      );
      return new Map(found.flat().map(({ fine_tuning_job_id: id, losses }) => [id, losses]));
    },
    enabled: ids.length > 0,
    placeholderData: (before) => before,
    refetchInterval: everyMs,
    staleTime: everyMs || Number.POSITIVE_INFINITY,
  });
  return data ?? new Map();
}

/** What may be done to a job now. */
export function actionsOf({ status }: FineTuningJob): { pause: boolean; resume: boolean; cancel: boolean } {
  return {
    pause: status === 'running' || status === 'queued',
    resume: status === 'paused',
    cancel: !isOver(status),
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
