import type { Logger } from 'pino';
import { createResolve, type Egress, type Resolve } from '../egress/post-pinned.ts';
import { type Repeating, repeat } from '../repeat.ts';

/** Limits and intervals of a loop that sends to servers of teams. */
export interface SendingTimes {
  /** Interval at which the loop looks for due work when none is known to wait. */
  pollMs: number;
  /** Maximum number of requests that this process sends concurrently. */
  concurrency: number;
  connectMs: number;
  wholeMs: number;
  /** Default: the machine's DNS resolver. */
  resolve?: Resolve;
}

/** Returns how such a loop may connect. `confirm`: see `Egress`. */
export function createEgress(
  rules: Egress['rules'],
  { resolve, connectMs, wholeMs }: Pick<SendingTimes, 'resolve' | 'connectMs' | 'wholeMs'>,
  confirm: NonNullable<Egress['confirm']> = async () => {},
): Egress {
  const machines = () => createResolve(rules, { timeoutMs: Math.ceil(connectMs / 4) });
  return { rules, resolve: resolve ?? machines(), connectMs, wholeMs, confirm };
}

/**
 * Claims due work repeatedly and sends it concurrently; whenever a request ends, the next one may start. Claims are leases in Postgres: if
 * it is unavailable when the outcome is recorded, the lease runs out and another process sends again. `stop` claims nothing more and waits.
 */
export function startSending<Claimed>(
  name: string,
  { pollMs, concurrency }: Pick<SendingTimes, 'pollMs' | 'concurrency'>,
  log: Logger,
  work: {
    /** Runs before each claim, also at full concurrency. */
    prepare?(stopping: AbortSignal): Promise<void>;
    claim(count: number): Promise<Claimed[]>;
    /** `claimedAt`: `performance.now()` before the claim. */
    send(claimed: Claimed, claimedAt: number): Promise<void>;
    onFault(error: unknown, claimed: Claimed): void;
  },
): Pick<Repeating, 'stop'> {
  const sending = new Set<Promise<void>>();
  const start = (claimed: Claimed, claimedAt: number) => {
    const sent = work
      .send(claimed, claimedAt)
      .catch((error: unknown) => work.onFault(error, claimed))
      .finally(() => {
        sending.delete(sent);
        rounds.wake();
      });
    sending.add(sent);
  };
  const rounds = repeat(
    name,
    pollMs,
    async (stopping) => {
      await work.prepare?.(stopping);
      const count = concurrency - sending.size;
      if (count <= 0 || stopping.aborted) return;
      const claimedAt = performance.now();
      for (const claimed of await work.claim(count)) start(claimed, claimedAt);
    },
    log,
  );
  return {
    stop: async () => {
      await rounds.stop();
      await Promise.all(sending);
    },
  };
}
