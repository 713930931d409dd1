import { setTimeout as sleep } from 'node:timers/promises';
import type { Services } from '@graft/service/services';

export interface ShutdownStep {
  name: string;
  run: () => unknown;
}

/**
 * Runs the steps in order. A step that fails, or is not done `milliseconds` after the start, is logged, and the later steps still run,
 * because the last ones release what other processes wait for.
 */
export async function shutDown(
  steps: ShutdownStep[],
  log: Services['log'],
  milliseconds: number,
): Promise<void> {
  const end = performance.now() + milliseconds;
  for (const { name, run } of steps) {
    const started = performance.now();
    // After the deadline, each step still gets 50 ms.
    const timeout = new AbortController();
    const late = sleep(Math.max(end - started, 50), 'late' as const, { signal: timeout.signal });
    try {
      const outcome = await Promise.race([Promise.resolve(run()).then(() => 'done' as const), late]);
      const ms = Math.round(performance.now() - started);
      if (outcome === 'late') log.warn({ component: name, ms }, 'shutdown step not done in time');
      else log.debug({ component: name, ms }, 'shutdown step done');
    } catch (error) {
      log.error({ component: name, err: error }, 'shutdown step failed');
    } finally {
      late.catch(() => {});
      timeout.abort();
    }
  }
}
