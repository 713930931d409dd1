import { useEffect, useRef, useState } from 'preact/hooks';

/** Milliseconds between two batches of items, so that a busy stream causes only a few renders per second. */
const batchMs = 250;
/** Milliseconds before a failed stream is opened again. Meanwhile the page polls. */
const retryMs = 30_000;

/** `live`: a stream delivers changes; `polling`: there is no stream, and the page polls. */
export type Liveness = 'live' | 'polling';

/**
 * Reads a stream while the page is visible and `streamKey` is not null, and passes its items on in batches. `onOpen` is called before
 * each reconnect, for the page to fetch what it missed. A new `streamKey` opens a new stream.
 */
export function useStream<T>(
  streamKey: string | null,
  open: (signal: AbortSignal) => AsyncGenerator<T, void, void>,
  { onItems, onOpen }: { onItems: (items: T[]) => void; onOpen?: () => void },
): Liveness {
  const [liveness, setLiveness] = useState<Liveness>('live');
  const latest = useRef({ open, onItems, onOpen });
  latest.current = { open, onItems, onOpen };

  useEffect(() => {
    if (streamKey === null) return;
    let stream: AbortController | null = null;
    let retryTimer: ReturnType<typeof setTimeout> | undefined;

    async function readStream(signal: AbortSignal, isFirst: boolean): Promise<void> {
      let batch: T[] = [];
      const flush = () => {
        const items = batch;
        batch = [];
        if (items.length > 0 && !signal.aborted) latest.current.onItems(items);
      };
      const timer = setInterval(flush, batchMs);
      try {
        if (!isFirst) latest.current.onOpen?.();
        setLiveness('live');
        for await (const item of latest.current.open(signal)) batch.push(item);
      } catch {
        if (signal.aborted) return;
        setLiveness('polling');
        retryTimer = setTimeout(start, retryMs, false);
      } finally {
        flush();
        clearInterval(timer);
      }
    }

    function start(isFirst: boolean): void {
      stop();
      if (document.hidden) return;
      stream = new AbortController();
      void readStream(stream.signal, isFirst);
    }

    function stop(): void {
      clearTimeout(retryTimer);
      stream?.abort();
    }

    const onVisibility = () => (document.hidden ? stop() : start(false));
    document.addEventListener('visibilitychange', onVisibility);
    start(true);
    return () => {
      document.removeEventListener('visibilitychange', onVisibility);
      stop();
    };
  }, [streamKey]);
  return liveness;
}
