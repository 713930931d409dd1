import type { JobCreateParams } from '@graft/client';
import { keepPreviousData, useQuery } from '@tanstack/preact-query';
import { useEffect, useState } from 'preact/hooks';
import { graft } from '../../data/graft.ts';
import type { Draft } from './draft.ts';

const settleMs = 350;

/** What the API says of the request, a moment after its last change: faults by field, or what it comes to. */
export function useCheck(draft: Draft) {
  const text = JSON.stringify(draft);
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), settleMs);
    return () => clearTimeout(timer);
  }, [text]);
  const check = useQuery({
    queryKey: ['job-check', settled],
    queryFn: ({ signal }) =>
      graft.fineTuning.jobs.check(JSON.parse(settled) as Partial<JobCreateParams>, { signal }),
    placeholderData: keepPreviousData,
    staleTime: 30_000,
    gcTime: 60_000,
  });
  return { ...check, isOld: settled !== text || check.isPlaceholderData };
}
