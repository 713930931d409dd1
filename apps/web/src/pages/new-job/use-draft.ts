import { useQuery } from '@tanstack/preact-query';
import { useEffect, useRef, useState } from 'preact/hooks';
import { graft } from '../../data/graft.ts';
import { useQueryState } from '../../router/query-state.ts';
import { type Draft, draftOf, isRecord } from './draft.ts';

/** Longer drafts are kept while the page is open, and do not stand in the address: servers refuse long ones. */
const longestAddress = 6_000;
/** Browsers refuse to change the address at every key. */
const settleMs = 400;

/**
 * The request as it is written, which stands in the address from the first change on. It begins from a file (`file`), a fine-tuned
 * model (`start`) or another job (`job`). Null while that job is asked for.
 */
export function useDraft() {
  const [state, setState] = useQueryState({ ask: '', file: '', start: '', job: '' });
  const [written, setWritten] = useState<Draft | null>(() => parsed(state.ask));
  const isClone = state.job !== '' && written === null;
  const request = useQuery({
    queryKey: ['job-request', state.job],
    queryFn: () => graft.fineTuning.jobs.request(state.job),
    enabled: isClone,
    staleTime: Number.POSITIVE_INFINITY,
  });
  const begun: Draft | null = isClone
    ? request.data
      ? draftOf(request.data)
      : null
    : { ...(state.start && { model: state.start }), ...(state.file && { training_file: state.file }) };
  const draft = written ?? begun;
  // What changes it later than it was drawn sees the newest.
  const newest = useRef(draft);
  newest.current = draft;
  const change = (after: (now: Draft) => Draft) => {
    newest.current = after(newest.current ?? {});
    setWritten(newest.current);
  };

  useEffect(() => {
    if (!written) return;
    const timer = setTimeout(() => {
      const ask = JSON.stringify(written);
      setState({ ask: ask.length <= longestAddress ? ask : null, file: null, start: null, job: null });
    }, settleMs);
    return () => clearTimeout(timer);
  }, [written]);

  return { draft, change, isWritten: written !== null, from: state.job || null, ...pick(request) };
}

const pick = ({ error, refetch }: { error: unknown; refetch: () => unknown }) => ({ error, refetch });

function parsed(ask: string): Draft | null {
  try {
    const value: unknown = JSON.parse(ask);
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}
