import type { Logger } from 'pino';
import { repeat } from '../repeat.ts';

/**
 * Counts per name in the current minute, over all processes as far as this process knows. Counting takes place in memory and needs no
 * query; the counts are added up in the store several times a second, so other processes see them with that delay.
 */
export interface SharedCounts {
  /** Increments the count and returns it. */
  add(name: string): number;
  read(name: string): number;
  /** Milliseconds until all counts restart. */
  msLeft(): number;
  /** Stops without sending the latest counts to the store. */
  close(): Promise<void>;
}

/** Store in which the counts of all processes are added up. */
export interface CountStore {
  /** Adds to the counts of a minute (since 1970), and returns the new total of each name. Rejects while unavailable. */
  add(minute: number, counts: ReadonlyMap<string, number>): Promise<Map<string, number>>;
  close(): Promise<void>;
}

/** Maximum number of names that a process keeps in a minute; beyond that the oldest are forgotten and restart. */
const maxNames = 50_000;
/** Maximum number of names sent at a time: bounds the size of a statement. */
const maxSent = 5_000;

const minuteMs = 60_000;

interface Count {
  /** Total of all processes, without `unsent`. */
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
      const minuteCounts = current();
      const unsent = [...minuteCounts].filter(([, count]) => count.unsent > 0).slice(0, maxSent);
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
        // The counts of this process remain valid, and are sent when the store is back.
        if (!away) log.warn({ err }, 'rate limits cannot be shared: each process counts for itself');
        away = true;
      }
    },
    log,
  );

  const total = (count: Count | undefined): number => (count ? count.known + count.unsent : 0);
  return {
    add: (name) => {
      const minuteCounts = current();
      let count = minuteCounts.get(name);
      if (!count) {
        if (minuteCounts.size >= maxNames) minuteCounts.delete(minuteCounts.keys().next().value!);
        count = { known: 0, unsent: 0 };
        minuteCounts.set(name, count);
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
