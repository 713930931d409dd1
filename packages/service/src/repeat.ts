import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { withSystemScope } from './database/database-scope.ts';
import { isDatabaseUnavailable } from './database/database-unavailable.ts';
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
