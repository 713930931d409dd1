import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { spread } from '../harness/recovery.ts';
import type { Scenario } from '../harness/scenario.ts';
import { isLost, type Result, replay } from './result.ts';
import { figureText } from './table.ts';

const target = path.resolve(import.meta.dirname, '../../docs/reliability.md');

/** Writes docs/reliability.md: what was tried, what came of it, on what machine, and how to do it again. */
export function writeReliabilityDoc(
  results: Result[],
  scenarios: readonly Scenario[],
  machine: string,
): void {
  writeFileSync(target, reliabilityDoc(results, scenarios, machine));
}

export function reliabilityDoc(results: Result[], scenarios: readonly Scenario[], machine: string): string {
  const [first] = results;
  const about = new Map(scenarios.map((scenario) => [scenario.name, scenario.about]));
  const failed = results.filter(isLost);
  return `# Reliability

Every job that was accepted ends once, with a whole loss series and the adapter that an undisturbed run gives, bit for bit,
whatever is killed, stopped, cut off or filled up meanwhile. \`npm run chaos\` tries it: it starts a Graft of its own (API, two
workers, their trainers, Postgres, Redis) on private ports, keeps jobs in flight, does one fault after another at seeded random
moments, and holds every job against the control.

A job passes when it succeeded; its losses are the control's at every step, without a hole or a step told twice; its files are
the control's, and are served with the bytes that its row promises; one version, one end and one outbox row are there; nothing was written
after its end; and no attempt was charged that no fault took. No process may end by itself, and no answer may be a 500.

**Recovery** is the time from the instant of the fault to the job's next claim or next step, the outage itself included.

## What was tried

Profile \`${first?.profile}\`, seed ${first?.seed}, on ${machine}. Leases: test 5 s (heartbeat and sweep 1 s), production 60 s (10 s).

| fault | queue | leases | tried | survived | recovery p50 | p99 | worst |
| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |
${results.map(row).join('\n')}

${failed.length === 0 ? 'Nothing was lost.' : `Not survived:\n\n${failed.map(failure).join('\n')}`}

## What was measured

${results
  .filter(({ figures }) => figures.length > 0)
  .map(({ title, queue, figures }) => `- ${title} (${queue}): ${figures.map(figureText).join(', ')}.`)
  .join('\n')}

## What each fault is

${[...new Set(results.map(({ scenario }) => scenario))].map((name) => `- **${name}**: ${about.get(name)}`).join('\n')}

## Do it again

\`\`\`sh
npm run chaos                         # a few minutes; runs in CI
npm run chaos -- --profile long       # the full counts, with leases as in production
npm run chaos -- --only worker-killed --rounds 200 --seed 7
npm run chaos -- --profile long --write-docs   # writes this page
sudo sh chaos/install-tools.sh        # strace, iproute2, redis-server: what they are needed for is left out without them
\`\`\`

A run of the same seed does the same faults in the same order after the same pauses. What fails is printed with its seed and
the folder of all logs.
`;
}

function row(result: Result): string {
  const times = spread(result.recoveries);
  const shown = (value: number | undefined) => (value === undefined ? '' : `${(value / 1000).toFixed(1)} s`);
  const outcome =
    result.missing.length > 0
      ? `left out: no ${result.missing.join(', ')} | `
      : `${result.tried} | ${result.survived}`;
  const { title, queue, timings } = result;
  return `| ${title} | ${queue} | ${timings} | ${outcome} | ${shown(times?.p50)} | ${shown(times?.p99)} | ${shown(times?.worst)} |`;
}

function failure(result: Result): string {
  const [first] = result.failures;
  return `- ${result.title} (${result.queue}): ${first?.oracle}: ${first?.detail.split('\n')[0]}. \`${replay(result)}\``;
}
