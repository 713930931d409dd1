import type { FineTuningJob, JobMetric } from '@graft/client';
import { type QueryClient, useQuery, useQueryClient } from '@tanstack/preact-query';
import { useEffect } from 'preact/hooks';
import { graft } from './graft.ts';
import { isFinished } from './jobs.ts';

/** Buckets of a downsampled series: about one per pixel. */
const resolution = 800;
/** New metrics appended to a series before it is downsampled again. */
const maxAdded = 800;

export type Series = readonly JobMetric[];

type SeriesJob = Pick<FineTuningJob, 'id' | 'status'>;

/**
 * A job's metrics, all or between two steps, downsampled by the server. A refetch reads only new metrics and appends them.
 */
export function seriesOptions(
  cache: QueryClient,
  { id, status }: SeriesJob,
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
      if (last === undefined || added > maxAdded) {
        const within = steps ? { afterStep: steps[0] - 1, untilStep: steps[1] } : {};
        return await jobs.metrics(id, { signal, resolution, ...within });
      }
      // A step's evaluation may be recorded after the step itself.
      const fresh = await jobs.metrics(id, { signal, afterStep: last - 1 });
      const lastKinds = new Set(known.filter(({ step }) => step === last).map(({ kind }) => kind));
      return [...known, ...fresh.filter(({ step, kind }) => step > last || !lastKinds.has(kind))];
    },
    // A zoomed series does not grow.
    staleTime: isFinished(status) || steps ? Number.POSITIVE_INFINITY : 0,
    placeholderData: (previous: Series | undefined) => previous,
    refetchOnWindowFocus: false,
  };
}

/** A job's series, refetched for each step that the job reports. */
export function useSeries(
  job: SeriesJob & Pick<FineTuningJob, 'progress'>,
  steps: readonly [number, number] | null,
) {
  const query = useQuery(seriesOptions(useQueryClient(), job, steps));
  const { refetch } = query;
  useEffect(() => {
    // A request in flight when the job ends may miss the last metrics.
    if (!steps && query.data) void refetch({ cancelRefetch: isFinished(job.status) });
  }, [job.progress?.step, job.status]);
  return query;
}
