import { useEffect, useState } from 'preact/hooks';
import { exactly, fromNow, moment } from '../text/times.ts';

const listeners = new Set<(now: number) => void>();
let ticker: ReturnType<typeof setInterval> | null = null;

/** Unix seconds, told anew every 20 s by one clock for all that show it. */
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

/** A time as people say it; the exact one when it is pointed at. `to come`: by the clock. */
export function Time({ at, form = 'ago' }: { at: number; form?: 'ago' | 'clock' }) {
  const now = useNow();
  return (
    <time dateTime={new Date(at * 1000).toISOString()} title={exactly(at)}>
      {form === 'ago' ? fromNow(at, now) : moment(at, now)}
    </time>
  );
}
