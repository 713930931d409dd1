import type { FineTuningJob, JobMetric } from '@graft/client';
import { type QueryClient, useQuery, useQueryClient } from '@tanstack/preact-query';
import { useEffect } from 'preact/hooks';
import { graft } from './graft.ts';
import { isOver } from './jobs.ts';

/** Stretches that a series is summed up in: about a pixel each. */
const resolution = 800;
/** Metrics that a series may grow by, one by one, before it is summed up anew. */
const mostAdded = 800;

export type Series = readonly JobMetric[];

type Of = Pick<FineTuningJob, 'id' | 'status'>;

/**
 * The whole series of a job, or what lies between two steps, summed up by the server; asked again, only what is new is fetched and put
 * behind what is known.
 */
export function seriesOptions(
  cache: QueryClient,
  { id, status }: Of,
  steps: readonly [number, number] | null,
) {
  const queryKey = ['series', id, steps];
  return {
    queryKey,
    queryFn: async ({ signal }: { signal: AbortSignal }): Promise<Series> => {
      const { jobs } = graft.fineTuning;
      const known = cache.getQueryData<Series>(queryKey) ?? [];
      const last = known.at(-1)?.step;
      const added = known.filter(({ stretch }) => !stretch).length;
      if (last === undefined || added > mostAdded) {
        const within = steps ? { afterStep: steps[0] - 1, untilStep: steps[1] } : {};
        return await jobs.metrics(id, { signal, resolution, ...within });
      }
      // A step's evaluation may come after the step itself.
      const fresh = await jobs.metrics(id, { signal, afterStep: last - 1 });
      const ofLast = new Set(known.filter(({ step }) => step === last).map(({ kind }) => kind));
      return [...known, ...fresh.filter(({ step, kind }) => step > last || !ofLast.has(kind))];
    },
    // What is zoomed into does not move.
    staleTime: isOver(status) || steps ? Number.POSITIVE_INFINITY : 0,
    placeholderData: (before: Series | undefined) => before,
    refetchOnWindowFocus: false,
  };
}

/** The same for a page, with each step that the job tells of while it trains. */
export function useSeries(
  job: Of & Pick<FineTuningJob, 'progress'>,
  steps: readonly [number, number] | null,
) {
  const query = useQuery(seriesOptions(useQueryClient(), job, steps));
  const { refetch } = query;
  useEffect(() => {
    // What is on its way when the job ends was asked for before its last values were there.
    if (!steps && query.data) void refetch({ cancelRefetch: isOver(job.status) });
  }, [job.progress?.step, job.status]);
  return query;
}
