import { isDatabaseUnavailable } from '@graft/service/database';
import { type JobChange, readJobChanges, type WatchedJob } from '@graft/service/jobs';
import type { Services } from '@graft/service/services';

/** Polls the events of all event streams together. */
export interface EventFeed {
  /**
   * Returns the events after the last one seen as soon as there are some, or the end of the job; null after `ms`, or when `signal`
   * fires. `behind`: events may exist already, so the call does not wait for the next poll.
   */
  next(
    job: WatchedJob,
    options: { behind: boolean; ms: number; signal: AbortSignal },
  ): Promise<JobChange | null>;
  close(): void;
}

interface Waiting {
  job: WatchedJob;
  behind: boolean;
  answer(news: JobChange | null): void;
}

const maxPerQuery = 200;
/** Milliseconds in which simultaneously opened streams are collected into one poll. */
const gatherMs = 20;

/**
 * Polls the events of all waiting streams together every `pollMs`: a thousand streams cost as many statements per second as one. A stream
 * whose client does not read is not waiting, so nothing is buffered for it. While Postgres is unavailable streams wait, and then continue
 * after the last event that they saw.
 */
export function createEventFeed(services: Services, pollMs: number): EventFeed {
  const waiting = new Set<Waiting>();
  const timers: Record<'soon' | 'regular', NodeJS.Timeout | null> = { soon: null, regular: null };

  async function look(which: 'soon' | 'regular'): Promise<void> {
    const all = [...waiting].filter(({ behind }) => which === 'regular' || behind);
    try {
      for (let from = 0; from < all.length; from += maxPerQuery) {
        const some = all.slice(from, from + maxPerQuery);
        const news = await readJobChanges(
          services,
          some.map(({ job }) => job),
        );
        for (const [i, each] of some.entries()) {
          each.behind = false;
          const { events, finished } = news[i]!;
          if (events.length > 0 || finished) each.answer(news[i]!);
        }
      }
    } catch (error) {
      for (const each of all) each.behind = false;
      if (!isDatabaseUnavailable(error)) services.log.error({ err: error }, 'events could not be read');
    }
    timers[which] = null;
    schedule();
  }

  /** At most one poll of each kind is scheduled or running. */
  function schedule(): void {
    if (waiting.size === 0) return;
    timers.regular ??= setTimeout(look, pollMs, 'regular');
    if ([...waiting].some(({ behind }) => behind)) timers.soon ??= setTimeout(look, gatherMs, 'soon');
  }

  return {
    next: async (job, { behind, ms, signal }) =>
      await new Promise((resolve) => {
        if (signal.aborted) return resolve(null);
        const answer = (news: JobChange | null) => {
          clearTimeout(late);
          signal.removeEventListener('abort', giveUp);
          waiting.delete(each);
          resolve(news);
        };
        const giveUp = () => answer(null);
        const each: Waiting = { job, behind, answer };
        const late = setTimeout(giveUp, ms);
        signal.addEventListener('abort', giveUp, { once: true });
        waiting.add(each);
        schedule();
      }),
    close() {
      for (const timer of Object.values(timers)) if (timer) clearTimeout(timer);
      for (const each of [...waiting]) each.answer(null);
    },
  };
}
