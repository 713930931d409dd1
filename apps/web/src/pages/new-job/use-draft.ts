import type { JobCreateParams } from '@graft/client';
import { keepPreviousData, useQuery } from '@tanstack/preact-query';
import { useEffect, useRef, useState } from 'preact/hooks';
import { graft } from '../../data/graft.ts';
import { useDebouncedValue } from '../../data/use-debounced-value.ts';
import { useQueryState } from '../../router/query-state.ts';
import { type Draft, draftFromRequest, HELD_OUT, isRecord } from './draft.ts';

/** Longer drafts are not stored in the URL, because servers reject long URLs. */
const maxUrlLength = 6_000;
/** Delay before the URL is updated: browsers limit the rate. */
const settleMs = 400;

/**
 * The draft of the request, stored in the URL after the first change. It starts from a file (`file`), a fine-tuned model (`start`) or
 * another job (`job`); unless it copies a job, a tenth of the examples is held out. Null while that job is loading.
 */
export function useDraft() {
  const [state, setState] = useQueryState({ ask: '', file: '', start: '', job: '' });
  const [edited, setEdited] = useState<Draft | null>(() => parseDraft(state.ask));
  const isClone = state.job !== '' && edited === null;
  const request = useQuery({
    queryKey: ['job-request', state.job],
    queryFn: () => graft.fineTuning.jobs.request(state.job),
    enabled: isClone,
    staleTime: Number.POSITIVE_INFINITY,
  });
  const initial: Draft | null = isClone
    ? request.data
      ? draftFromRequest(request.data)
      : null
    : {
        ...(state.start && { model: state.start }),
        ...(state.file && { training_file: state.file }),
        training: { validation_split: HELD_OUT },
      };
  const draft = edited ?? initial;
  // So that late callbacks, such as a finished upload, change the newest draft.
  const newest = useRef(draft);
  newest.current = draft;
  const change = (update: (current: Draft) => Draft) => {
    newest.current = update(newest.current ?? {});
    setEdited(newest.current);
  };

  useEffect(() => {
    if (!edited) return;
    const timer = setTimeout(() => {
      const ask = JSON.stringify(edited);
      setState({ ask: ask.length <= maxUrlLength ? ask : null, file: null, start: null, job: null });
    }, settleMs);
    return () => clearTimeout(timer);
  }, [edited]);

  return { draft, change, from: state.job || null, error: request.error, refetch: request.refetch };
}

function parseDraft(ask: string): Draft | null {
  try {
    const value: unknown = JSON.parse(ask);
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}

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
