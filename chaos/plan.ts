import type { Queue, Scenario } from './harness/scenario.ts';
import type { Options } from './options.ts';

/**
 * Scenarios grouped by queue backend, so that those of one backend share a rig. A half has every second scenario: those of both backends
 * run on one backend in each half.
 */
export function planScenarios(
  scenarios: readonly Scenario[],
  options: Pick<Options, 'only' | 'profile' | 'queue'>,
  half: number | null,
): [Queue, Scenario[]][] {
  const chosen = scenarios.filter(({ name, rounds }) =>
    options.only.length > 0 ? options.only.includes(name) : rounds[options.profile] > 0,
  );
  const queues = options.queue ? [options.queue] : (['postgres', 'redis'] as const);
  return queues.map((queue): [Queue, Scenario[]] => [
    queue,
    chosen.filter(
      (scenario, i) =>
        (scenario.queues ?? ['postgres']).includes(queue) &&
        (half === null || (i + (queue === 'redis' ? 1 : 0)) % 2 === half),
    ),
  ]);
}
