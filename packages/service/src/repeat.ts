import { setTimeout as sleep } from 'node:timers/promises';
import type { Services } from '@graft/service';

/** A loop in the background. */
export interface Repeating {
  /** Runs the next round now instead of after its pause. */
  poke(): void;
  /** No further round; resolves when the running one is over. */
  stop(): Promise<void>;
}

/**
 * Runs `work` again and again with a pause of `milliseconds` between rounds. A round that fails is logged, the first
 * of a series only: while Postgres is away every round fails alike.
 */
export function repeat(
  name: string,
  milliseconds: number,
  work: () => Promise<void>,
  log: Services['log'],
): Repeating {
  const ended = new AbortController();
  let pause = new AbortController();
  let failing = false;

  const rounds = (async () => {
    while (!ended.signal.aborted) {
      pause = new AbortController();
      try {
        await work();
        if (failing) log.info({ component: name }, 'loop works again');
        failing = false;
      } catch (error) {
        if (!failing) log.error({ component: name, err: error }, 'loop round failed');
        failing = true;
      }
      const wake = AbortSignal.any([pause.signal, ended.signal]);
      await sleep(milliseconds, undefined, { signal: wake }).catch(() => {});
    }
  })();

  return {
    poke: () => pause.abort(),
    stop: async () => {
      ended.abort();
      await rounds;
    },
  };
}
