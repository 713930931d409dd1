import {
  isDatabaseUnavailable,
  type JobState,
  type Services,
  withReaderConnections,
  withSystemScope,
} from '@graft/service';

/** Polls the jobs that agents wait for, all together. */
export interface JobWatch {
  /** Resolves when the job has ended or is paused, after `ms`, or when `signal` fires, whichever comes first. */
  untilOver(job: { teamId: string; id: string }, ms: number, signal: AbortSignal): Promise<void>;
  close(): void;
}

const over: JobState[] = ['succeeded', 'failed', 'cancelled', 'paused'];
/** Milliseconds between two polls. */
const pollMs = 1000;
/** Maximum number of jobs in one statement. */
const maxPerQuery = 500;

/**
 * Polls the jobs of all waiting agents together every second: a thousand agents cost as many statements per second as one. Agents keep
 * waiting while Postgres is unavailable.
 */
export function createJobWatch({ db, log }: Pick<Services, 'db' | 'log'>): JobWatch {
  const waiting = new Set<{ job: { teamId: string; id: string }; end(): void }>();
  let timer: NodeJS.Timeout | null = null;

  async function look(): Promise<void> {
    const all = [...waiting];
    try {
      for (let from = 0; from < all.length; from += maxPerQuery) {
        const some = all.slice(from, from + maxPerQuery);
        const jobs = some.map(({ job: { teamId, id } }) => ({ teamId, id }));
        const where = { OR: jobs, state: { in: over } };
        const found = await withReaderConnections(() =>
          withSystemScope(() => db.job.findMany({ where, select: { id: true } })),
        );
        const ids = new Set(found.map(({ id }) => id));
        for (const each of some) if (ids.has(each.job.id)) each.end();
      }
    } catch (error) {
      if (!isDatabaseUnavailable(error)) log.error({ err: error }, 'the states of jobs could not be read');
    }
    timer = null;
    schedule();
  }

  function schedule(): void {
    if (waiting.size > 0) timer ??= setTimeout(look, pollMs);
  }

  return {
    untilOver: async (job, ms, signal) =>
      await new Promise((resolve) => {
        if (signal.aborted) return resolve();
        const end = () => {
          clearTimeout(late);
          signal.removeEventListener('abort', end);
          waiting.delete(each);
          resolve();
        };
        const each = { job, end };
        const late = setTimeout(end, ms);
        signal.addEventListener('abort', end, { once: true });
        waiting.add(each);
        schedule();
      }),
    close() {
      if (timer) clearTimeout(timer);
      for (const { end } of [...waiting]) end();
    },
  };
}
