import type { Services } from '@graft/service';

/** One step of an ordered shutdown. */
export interface ShutdownStep {
  name: string;
  run: () => unknown;
}

/**
 * Runs the steps one after another, in their order. A step that fails is logged and does not keep the later ones
 * from running: the last ones release what other processes wait for.
 */
export async function shutDown(steps: ShutdownStep[], log: Services['log']): Promise<void> {
  for (const { name, run } of steps) {
    const started = performance.now();
    try {
      await run();
      log.debug({ component: name, ms: Math.round(performance.now() - started) }, 'shutdown step done');
    } catch (error) {
      log.error({ component: name, err: error }, 'shutdown step failed');
    }
  }
}
