import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Database } from './database/database.ts';
import { withSystemScope, withTeamScope } from './database/database-scope.ts';
import { isDatabaseUnavailable } from './database/database-unavailable.ts';
import { type ExclusiveLock, runExclusive } from './database/run-exclusive.ts';
import { instruments } from './observe/instruments.ts';

export interface Repeating {
  /** Starts the next round now, or right after the running one. */
  wake(): void;
  /** Starts no further round; resolves when the running one has ended. */
  stop(): Promise<void>;
}

/**
 * Runs `work` repeatedly with a pause of `milliseconds` between rounds; `stop` aborts its signal. Of a series of failing rounds only the
 * first is logged, because while Postgres is unavailable every round fails alike. Rounds belong to no request and see all teams.
 */
export function repeat(
  name: string,
  milliseconds: number,
  work: (stopping: AbortSignal) => Promise<void>,
  log: Logger,
): Repeating {
  const stopping = new AbortController();
  let pause = new AbortController();
  let failing = false;

  const rounds = (async () => {
    while (!stopping.signal.aborted) {
      // From here on a call of `wake` ends the pause after this round.
      pause = new AbortController();
      try {
        await withSystemScope(() => work(stopping.signal));
        if (failing) log.info({ component: name }, 'loop works again');
        failing = false;
      } catch (error) {
        const level = isDatabaseUnavailable(error) ? 'warn' : 'error';
        if (!failing && !stopping.signal.aborted) {
          log[level]({ component: name, err: error }, 'loop round failed');
        }
        // Names may end in an id, which must not become a label.
        instruments.loopFailures.inc({ loop: name.split(' ', 1)[0]! });
        failing = true;
      }
      const woken = AbortSignal.any([pause.signal, stopping.signal]);
      await sleep(milliseconds, undefined, { signal: woken }).catch(() => {});
    }
  })();

  return {
    wake: () => pause.abort(),
    stop: async () => {
      stopping.abort();
      await rounds;
    },
  };
}

/** Work that a process does again and again. */
export interface Loop<Services> {
  name: string;
  /** Pause between two rounds. */
  seconds: number;
  /** True: of all processes, one at a time runs a round (`runExclusive`). */
  inTurns?: boolean;
  work(services: Services, round: { stopping: AbortSignal } & ExclusiveLock): Promise<unknown>;
}

/** Something that was started; `close` resolves when it has ended. */
export interface Closable {
  close(): Promise<void>;
}

/** Starts loops. A round that fails is repeated after the pause; `close` waits for running rounds. */
export function startLoops<Services extends Pick<Database, 'sql'> & { log: Logger }>(
  services: Services,
  loops: readonly Loop<Services>[],
): Closable {
  const running = loops.map(({ name, seconds, inTurns = false, work }) =>
    repeat(
      name,
      seconds * 1000,
      async (stopping) => {
        if (!inTurns) await work(services, { stopping, idleSeconds: null });
        else await runExclusive(services, name, (turn) => work(services, { stopping, ...turn }));
      },
      services.log,
    ),
  );
  return { close: async () => void (await Promise.all(running.map((loop) => loop.stop()))) };
}

/** Work that a process claims by leases in Postgres, and does concurrently. */
export interface Claims<Claimed extends { teamId: string }> {
  name: string;
  /** Interval at which the loop looks for due work when none is known to wait. */
  pollMs: number;
  /** Maximum number of claims that this process works on at a time. */
  concurrency: number;
  log: Logger;
  /** Runs before each round, also at full concurrency. */
  prepare?(stopping: AbortSignal): Promise<void>;
  /** Claims at most `count`: returns a list, or one, after which it is called again, until it returns null. */
  claim(count: number): Promise<Claimed[] | Claimed | null>;
  /** Runs in the scope of the team. `claimedAt`: `performance.now()` before the claim. `closing` aborts on `close`. */
  work(claimed: Claimed, run: { claimedAt: number; closing: AbortSignal }): Promise<unknown>;
  onFault(error: unknown, claimed: Claimed): void;
  /** Runs on `close` when all work has ended. */
  closed?(): Promise<unknown>;
}

export interface Claiming extends Closable {
  /** Number of claims that this process works on. */
  readonly running: number;
  /** Signals that there may be something to claim. */
  wake(): void;
}

/**
 * Claims due work repeatedly; whenever one ends, the next may start. If Postgres is unavailable when the outcome is recorded, the lease runs
 * out and another process does the work again. `close` claims nothing more and waits.
 */
export function startClaiming<Claimed extends { teamId: string }>(claims: Claims<Claimed>): Claiming {
  const { name, pollMs, concurrency, log } = claims;
  const closing = new AbortController();
  const running = new Set<Promise<unknown>>();
  const start = (claimed: Claimed, claimedAt: number) => {
    const run = { claimedAt, closing: closing.signal };
    const done = withTeamScope(claimed.teamId, async () => await claims.work(claimed, run))
      .catch((error: unknown) => claims.onFault(error, claimed))
      .finally(() => {
        running.delete(done);
        rounds.wake();
      });
    running.add(done);
  };
  const rounds = repeat(
    name,
    pollMs,
    async (stopping) => {
      await claims.prepare?.(stopping);
      while (running.size < concurrency && !stopping.aborted) {
        const claimedAt = performance.now();
        const claimed = await claims.claim(concurrency - running.size);
        if (claimed === null) return;
        for (const each of Array.isArray(claimed) ? claimed : [claimed]) start(each, claimedAt);
        if (Array.isArray(claimed)) return;
      }
    },
    log,
  );
  return {
    get running() {
      return running.size;
    },
    wake: rounds.wake,
    close: async () => {
      closing.abort();
      await rounds.stop();
      await Promise.all(running);
      await claims.closed?.();
    },
  };
}

/**
 * Renews a lease every `milliseconds` until `release`, also after failures. `lost` fires when `renew` resolves to nothing: the work was
 * cancelled or claimed by another process.
 */
export function holdLease(
  name: string,
  log: Logger,
  renew: () => Promise<unknown>,
  milliseconds: number,
): { lost: AbortSignal; release(): Promise<void> } {
  const lost = new AbortController();
  const heartbeat = async () => {
    if (!(await renew())) lost.abort();
  };
  return { lost: lost.signal, release: repeat(name, milliseconds, heartbeat, log).stop };
}

/** Runs `work` again after each error for which `isPassing` holds. Throws other errors, and when `signal` aborts. */
export async function retryWhile<T>(
  isPassing: (error: unknown) => boolean,
  signal: AbortSignal,
  work: () => Promise<T>,
  pauseMs = 500,
): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isPassing(error) || signal.aborted) throw error;
      await sleep(pauseMs, undefined, { signal });
    }
  }
}
