import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { isDatabaseAway } from './database/database-away.ts';
import { asSystem } from './database/on-behalf-of.ts';
import { instruments } from './observe/instruments.ts';

/** A loop in the background. */
export interface Repeating {
  /** The next round begins now, or right after the running one. */
  wake(): void;
  /** No further round; resolves when the running one is over. */
  stop(): Promise<void>;
}

/**
 * Runs `work` again and again with a pause of `milliseconds` between rounds; its signal is aborted by `stop`. A round
 * that fails is logged, the first of a series only: while Postgres is away every round fails alike. It is no request's: it sees all
 * teams.
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
      // A call of `wake` from here on ends the pause after this round.
      pause = new AbortController();
      try {
        await asSystem(() => work(stopping.signal));
        if (failing) log.info({ component: name }, 'loop works again');
        failing = false;
      } catch (error) {
        const level = isDatabaseAway(error) ? 'warn' : 'error';
        if (!failing && !stopping.signal.aborted) {
          log[level]({ component: name, err: error }, 'loop round failed');
        }
        // Names may end in an id, which is no label.
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
