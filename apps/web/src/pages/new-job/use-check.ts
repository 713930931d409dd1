import type { JobCreateParams } from '@graft/client';
import { keepPreviousData, useQuery } from '@tanstack/preact-query';
import { graft } from '../../data/graft.ts';
import { useDebouncedValue } from '../../data/use-debounced-value.ts';
import type { Draft } from './draft.ts';

/** The API's check of a draft, 350 ms after its last change: errors by field, or the estimate. */
export function useCheck(draft: Draft) {
  const text = JSON.stringify(draft);
  const settled = useDebouncedValue(text, 350);
  const check = useQuery({
    queryKey: ['job-check', settled],
    queryFn: ({ signal }) =>
      graft.fineTuning.jobs.check(JSON.parse(settled) as Partial<JobCreateParams>, { signal }),
    placeholderData: keepPreviousData,
    staleTime: 30_000,
    gcTime: 60_000,
  });
  return { ...check, isStale: settled !== text || check.isPlaceholderData };
}
