import { useEffect, useState } from 'preact/hooks';
import { clockTime, fromNow, fullTime } from '../text/times.ts';

const listeners = new Set<(now: number) => void>();
let ticker: ReturnType<typeof setInterval> | null = null;

/** Current time in Unix seconds, updated every 20 s by one timer for all components. */
export function useNow(): number {
  const [now, setNow] = useState(() => Date.now() / 1000);
  useEffect(() => {
    listeners.add(setNow);
    ticker ??= setInterval(() => {
      for (const listener of listeners) listener(Date.now() / 1000);
    }, 20_000);
    return () => {
      listeners.delete(setNow);
      if (listeners.size > 0 || ticker === null) return;
      clearInterval(ticker);
      ticker = null;
    };
  }, []);
  return now;
}

/** A relative time ('ago') or a date and time ('clock'), with the exact time as tooltip. */
export function Time({ at, form = 'ago' }: { at: number; form?: 'ago' | 'clock' }) {
  const now = useNow();
  return (
    <time dateTime={new Date(at * 1000).toISOString()} title={fullTime(at)}>
      {form === 'ago' ? fromNow(at, now) : clockTime(at, now)}
    </time>
  );
}
