import type { Logger } from 'pino';
import { repeat } from '../repeat.ts';

/**
 * How often something was counted in this minute, by name: of all processes together, as far as this one has heard. Counting is a
 * look into memory, and costs no query however many ask; what was counted is added up in the store some times a second, so that
 * processes see each other's that much later.
 */
export interface SharedCounts {
  /** Counts one more and answers how many there are. */
  add(name: string): number;
  read(name: string): number;
  /** Milliseconds until everything is counted anew. */
  msLeft(): number;
  /** Stops, without a last word to the store. */
  close(): Promise<void>;
}

/** Where processes add up. */
export interface CountStore {
  /** Adds to the counts of a minute (since 1970), and answers what each name has then. Rejects while it is away. */
  add(minute: number, counts: ReadonlyMap<string, number>): Promise<Map<string, number>>;
  close(): Promise<void>;
}

/** Names that one process remembers in a minute; past that the oldest are forgotten, and counted anew. */
const mostNames = 50_000;
/** Names of one round: bounds a statement, and the time until a name's turn. */
const mostSent = 5_000;

const minuteMs = 60_000;

interface Count {
  /** Of all processes, without `unsent`. */
  known: number;
  unsent: number;
}

export function openSharedCounts(
  store: CountStore,
  { syncMs, log, now = Date.now }: { syncMs: number; log: Logger; now?: () => number },
): SharedCounts {
  let minute = Math.floor(now() / minuteMs);
  let counts = new Map<string, Count>();
  let away = false;

  function current(): Map<string, Count> {
    const present = Math.floor(now() / minuteMs);
    if (present !== minute) {
      minute = present;
      counts = new Map();
    }
    return counts;
  }

  const loop = repeat(
    'rate-counts',
    syncMs,
    async () => {
      const ofMinute = current();
      const unsent = [...ofMinute].filter(([, count]) => count.unsent > 0).slice(0, mostSent);
      if (unsent.length === 0) return;
      const sent = new Map(unsent.map(([name, count]) => [name, count.unsent]));
      try {
        const totals = await store.add(minute, sent);
        for (const [name, count] of unsent) {
          count.known = totals.get(name) ?? count.known + sent.get(name)!;
          count.unsent -= sent.get(name)!;
        }
        if (away) log.info('rate limits are shared with the other processes again');
        away = false;
      } catch (err) {
        // What this process has counted still holds, and is told when the store is back.
        if (!away) log.warn({ err }, 'rate limits cannot be shared: each process counts for itself');
        away = true;
      }
    },
    log,
  );

  const total = (count: Count | undefined): number => (count ? count.known + count.unsent : 0);
  return {
    add: (name) => {
      const ofMinute = current();
      let count = ofMinute.get(name);
      if (!count) {
        if (ofMinute.size >= mostNames) ofMinute.delete(ofMinute.keys().next().value!);
        count = { known: 0, unsent: 0 };
        ofMinute.set(name, count);
      }
      count.unsent++;
      return total(count);
    },
    read: (name) => total(current().get(name)),
    msLeft: () => minuteMs - (now() % minuteMs),
    close: async () => {
      await loop.stop();
      await store.close();
    },
  };
}
