import { useEffect, useRef, useState } from 'preact/hooks';

/** Milliseconds that what comes is gathered for, so that a busy stream is a few renders a second. */
const gatherMs = 250;
/** Milliseconds until a stream that could not be had is tried again; meanwhile the page polls. */
const againMs = 30_000;

/** `live`: a stream tells what changes; `polling`: there is none, and the page asks. */
export type Liveness = 'live' | 'polling';

/**
 * Follows a stream while the page is in sight and `on`, and hands over what came by the batch. `onOpen` before each begins: what
 * happened before it is for the page to read. `on` may be a key, whose change begins anew.
 */
export function useStream<T>(
  on: string | null,
  open: (signal: AbortSignal) => AsyncGenerator<T, void, void>,
  { onItems, onOpen }: { onItems: (items: T[]) => void; onOpen?: () => void },
): Liveness {
  const [liveness, setLiveness] = useState<Liveness>('live');
  const latest = useRef({ open, onItems, onOpen });
  latest.current = { open, onItems, onOpen };

  useEffect(() => {
    if (on === null) return;
    let stream: AbortController | null = null;
    let again: ReturnType<typeof setTimeout> | undefined;

    async function follow(signal: AbortSignal, isFirst: boolean): Promise<void> {
      let gathered: T[] = [];
      const flush = () => {
        const items = gathered;
        gathered = [];
        if (items.length > 0 && !signal.aborted) latest.current.onItems(items);
      };
      const timer = setInterval(flush, gatherMs);
      try {
        if (!isFirst) latest.current.onOpen?.();
        setLiveness('live');
        for await (const item of latest.current.open(signal)) gathered.push(item);
      } catch {
        if (signal.aborted) return;
        setLiveness('polling');
        again = setTimeout(begin, againMs, false);
      } finally {
        flush();
        clearInterval(timer);
      }
    }

    function begin(isFirst: boolean): void {
      stop();
      if (document.hidden) return;
      stream = new AbortController();
      void follow(stream.signal, isFirst);
    }

    function stop(): void {
      clearTimeout(again);
      stream?.abort();
    }

    const onVisibility = () => (document.hidden ? stop() : begin(false));
    document.addEventListener('visibilitychange', onVisibility);
    begin(true);
    return () => {
      document.removeEventListener('visibilitychange', onVisibility);
      stop();
    };
  }, [on]);
  return liveness;
}
