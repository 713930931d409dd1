import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type Spread, spread } from '../harness/recovery.ts';
import type { Figure, Scenario } from '../harness/scenario.ts';
import { isLost, type Result, replay } from './result.ts';
import { figureText } from './table.ts';

const folder = path.resolve(import.meta.dirname, '..');

/** The commit of this run when it started: others may commit meanwhile. */
const on = new Date().toISOString().slice(0, 10);
const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
  cwd: folder,
  encoding: 'utf8',
}).trim();

/** The newest result of a scenario with one queue backend, kind of leases and seed, as saved in chaos/reliability.json. */
export interface Entry
  extends Pick<
    Result,
    | 'scenario'
    | 'title'
    | 'queue'
    | 'timings'
    | 'profile'
    | 'seed'
    | 'tried'
    | 'survived'
    | 'figures'
    | 'failures'
  > {
  /** Whole milliseconds, separated by spaces. */
  recoveries?: string;
  /** Milliseconds of a run whose single values were not kept. */
  recovery?: Spread | null;
  minutes: number;
  /** Date, commit and machine of the run. */
  on: string;
  commit: string;
  machine: string;
}

/**
 * Adds results to chaos/reliability.json and generates chaos/reliability.md from it: scenarios, results, dates, machines, and how to repeat
 * them. All scenarios take many hours, so several runs may be combined.
 */
export function writeReliabilityDoc(
  results: Result[],
  scenarios: readonly Scenario[],
  machine: string,
): void {
  const kept = path.join(folder, 'reliability.json');
  const before = existsSync(kept) ? (JSON.parse(readFileSync(kept, 'utf8')) as Entry[]) : [];
  const entries = merged(before, results.filter(({ missing }) => missing.length === 0).map(entry), scenarios);
  writeFileSync(kept, `${JSON.stringify(entries, null, 2)}\n`);
  writeFileSync(path.join(folder, 'reliability.md'), reliabilityDoc(entries, scenarios));

  function entry(result: Result): Entry {
    const { scenario, title, queue, timings, profile, seed, tried, survived, figures, failures } = result;
    return {
      scenario,
      title,
      queue,
      timings,
      profile,
      seed,
      tried,
      survived,
      figures,
      failures: failures.slice(0, 3),
      recoveries: result.recoveries.map(Math.round).join(' '),
      minutes: Math.round(result.seconds / 6) / 10,
      on,
      commit,
      machine,
    };
  }
}

/**
 * A new entry replaces the one of the same seed, but not one with more rounds, unless something was lost. Entries of other seeds are kept,
 * because their faults hit other moments.
 */
export function merged(before: Entry[], added: Entry[], scenarios: readonly Scenario[]): Entry[] {
  const key = (entry: Entry) => `${kindOf(entry)} ${entry.seed}`;
  const entries = new Map(before.map((entry) => [key(entry), entry]));
  for (const entry of added) {
    const old = entries.get(key(entry));
    if (!old || isLost(entry) || isLost(old) || entry.tried >= old.tried) entries.set(key(entry), entry);
  }
  const order = scenarios.map(({ name }) => name);
  return [...entries.values()]
    .filter(({ scenario }) => order.includes(scenario))
    .sort(
      (a, b) =>
        order.indexOf(a.scenario) - order.indexOf(b.scenario) ||
        a.queue.localeCompare(b.queue) ||
        b.timings.localeCompare(a.timings) ||
        a.seed - b.seed,
    );
}

/** The key of runs that differ in nothing but their seeds. */
function kindOf({ scenario, queue, timings }: Entry): string {
  return [scenario, queue, timings].join(' ');
}

/** Combines runs that differ in nothing but their seeds. */
interface Sum extends Omit<Entry, 'seed' | 'on' | 'commit' | 'recoveries'> {
  recovery: Spread | null;
  /** The first one with a loss, if any. */
  example: Entry;
  runs: string;
}

function summed(entries: readonly Entry[]): Sum[] {
  const kinds = [...new Set(entries.map(kindOf))];
  return kinds.map((kind) => {
    const runs = entries.filter((entry) => kindOf(entry) === kind);
    const sum = (of: 'tried' | 'survived' | 'minutes') => runs.reduce((total, run) => total + run[of], 0);
    const days = [...new Set(runs.map(({ on, commit }) => `${on}, ${commit}`))];
    const seeds = runs.map(({ seed }) => seed);
    return {
      ...runs[0]!,
      tried: sum('tried'),
      survived: sum('survived'),
      minutes: sum('minutes'),
      figures: summedFigures(runs),
      failures: runs.flatMap(({ failures }) => failures),
      recovery: recoveryOf(runs),
      example: runs.find(isLost) ?? runs[0]!,
      runs: `${days.join('; ')}; seed${seeds.length > 1 ? 's' : ''} ${seeds.join(', ')}`,
    };
  });
}

/** Percentiles of all runs together; where single values were not kept, the worst run's. */
function recoveryOf(runs: readonly Entry[]): Spread | null {
  const kept = spread(
    runs.flatMap(({ recoveries = '' }) => recoveries.split(' ').filter(Boolean).map(Number)),
  );
  const all = [kept, ...runs.map(({ recovery }) => recovery)].filter((one) => one != null);
  if (all.length === 0) return null;
  const most = (of: keyof Spread) => Math.max(...all.map((one) => one[of]));
  return { p50: all[0]!.p50, p99: most('p99'), worst: most('worst') };
}

/** Adds up counts and keeps the worst measurement. */
function summedFigures(runs: readonly Entry[]): Figure[] {
  const figures = new Map<string, Figure>();
  for (const figure of runs.flatMap(({ figures }) => figures)) {
    const { name, unit } = figure;
    const before = figures.get(name);
    const value =
      unit === '' ? (before?.value ?? 0) + figure.value : Math.max(before?.value ?? 0, figure.value);
    figures.set(name, { ...figure, value });
  }
  return [...figures.values()];
}

export function reliabilityDoc(runs: readonly Entry[], scenarios: readonly Scenario[]): string {
  const entries = summed(runs);
  const about = new Map(scenarios.map((scenario) => [scenario.name, scenario.about]));
  const failed = entries.filter(isLost);
  const tried = new Set(entries.map(({ scenario }) => scenario));
  const untried = scenarios.filter(({ name }) => !tried.has(name)).map(({ title }) => title);
  const total = (of: 'tried' | 'survived') => entries.reduce((sum, entry) => sum + entry[of], 0);
  return `# Reliability

<!-- docs:check skip: takes minutes to hours; CI runs the short profile -->
\`\`\`sh
npm run chaos                         # a few minutes; runs in CI
npm run chaos -- --profile long       # the full counts, with leases as in production
npm run chaos -- --only worker-killed --rounds 200 --seed 7
npm run chaos -- --profile long --write-docs   # adds to this page, which is generated from chaos/reliability.json
sudo sh chaos/install-tools.sh        # strace, iproute2, redis-server: scenarios that need them are left out without them
\`\`\`

Every accepted job ends once, with a complete loss series and the adapter of an undisturbed run, bit for bit, whatever is killed, stopped,
disconnected or full in the meantime. \`npm run chaos\` tests this: it starts a separate Graft (API, two workers, their trainers, Postgres, Redis) on
private ports, keeps jobs running, injects one fault after another at seeded random moments, and compares every job with an undisturbed control.

A job passes when it succeeded; its losses equal the control's at every step, without a gap or a duplicate step; its files equal the
control's, and are served with the bytes that its row promises; it has one version, one end and one outbox row; nothing was written
after its end; and only faults used up attempts. No process may end by itself, no response may be a 500, and at each scenario's end the
usage ledger must match jobs, attempts, files and versions.

**Recovery** is the time from the fault to the job's next claim or next step, including the outage itself.

A run with the same seed injects the same faults in the same order after the same pauses. Failures are printed with their seed and
the folder of all logs.

## Scenarios

${total('tried').toLocaleString('en-US')} faults, ${total('survived').toLocaleString('en-US')} of them survived. Leases: test 5 s (heartbeat and sweep 1 s), production 60 s (10 s).

| fault | queue | leases | tried | survived | recovery p50 | p99 | worst | run |
| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | --- |
${entries.map(row).join('\n')}

Run on ${[...new Set(entries.map(({ machine }) => machine))].join('; ')}.${untried.length === 0 ? '' : ` Not run yet: ${untried.join('; ')}.`}

${failed.length === 0 ? 'Nothing was lost.' : `Not survived:\n\n${failed.map(failure).join('\n')}`}

## Measurements

${entries
  .filter(({ figures }) => figures.length > 0)
  .map(
    ({ title, queue, timings, figures }) =>
      `- ${title} (${queue}, ${timings} leases): ${figures.map(figureText).join(', ')}.`,
  )
  .join('\n')}

## Faults

${[...tried].map((name) => `- **${name}**: ${about.get(name)}`).join('\n')}
`;
}

function row(entry: Sum): string {
  const shown = (value: number | undefined) => (value === undefined ? '' : `${(value / 1000).toFixed(1)} s`);
  const { title, queue, timings, tried, survived, recovery, runs } = entry;
  return `| ${title} | ${queue} | ${timings} | ${tried} | ${survived} | ${shown(recovery?.p50)} | ${shown(recovery?.p99)} | ${shown(recovery?.worst)} | ${runs} |`;
}

function failure({ title, queue, example }: Sum): string {
  const [first] = example.failures;
  return `- ${title} (${queue}): ${first?.oracle}: ${first?.detail.split('\n')[0]}. \`${replay(example)}\``;
}
