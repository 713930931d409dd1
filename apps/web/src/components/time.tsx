import { useState } from 'preact/hooks';
import { clockTime, fromNow, fullTime } from '../text/times.ts';
import { createStore } from './store.ts';

const clock = createStore(Date.now() / 1000);
setInterval(() => clock.set(Date.now() / 1000), 20_000);

/** Current time in Unix seconds, updated every 20 s by one timer for all components. */
export function useNow(): number {
  const [mountedAt] = useState(() => Date.now() / 1000);
  return Math.max(mountedAt, clock.use());
}

/** A relative time ('ago') or a date and time ('clock') after a word such as "since". The tooltip is the exact time. */
export function Time({ at, form = 'ago', prefix }: { at: number; form?: 'ago' | 'clock'; prefix?: string }) {
  const now = useNow();
  return (
    <>
      {prefix && `${prefix} `}
      <time dateTime={new Date(at * 1000).toISOString()} title={fullTime(at)}>
        {form === 'ago' ? fromNow(at, now) : clockTime(at, now)}
      </time>
    </>
  );
}
