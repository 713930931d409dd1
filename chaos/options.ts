import { parseArgs } from 'node:util';

export interface Options {
  profile: 'short' | 'long';
  seed: number;
  /** Names of scenarios; empty for all. */
  only: string[];
  /** One queue backend; null: the scenario's own list. */
  queue: 'postgres' | 'redis' | null;
  /** Only the half of the scenarios that the commit chooses. */
  half: boolean;
  /** Overrides the profile's rounds. */
  rounds: number | null;
  timings: 'test' | 'production' | null;
  /** After this many seconds no other scenario starts; the report lists those left out. Null: no limit. */
  minutes: number | null;
  list: boolean;
  json: boolean;
  writeDocs: boolean;
  /** Folder for logs. Default: a new one, removed when nothing failed. */
  logs: string | null;
}

export const usage = `npm run chaos -- [options]

Injects faults into a private Graft, on private ports, and checks that no accepted job is lost.

  --profile short|long   short (default): a few minutes, short leases. long: the full counts, leases as in production
  --only NAME,…          run only these scenarios (--list prints their names)
  --half                 run half of the scenarios, which the commit chooses
  --queue postgres|redis with the queue in this one alone
  --rounds N             N faults in each scenario, instead of the profile's number
  --seed N               repeat a run: the same moments, targets and kinds of fault (default 1)
  --timings test|production   leases of 5 s or of 60 s, instead of the profile's
  --minutes N            begin no scenario after N minutes (short: 6; long: no limit)
  --logs FOLDER          keep all logs in this new or empty folder (default: a temporary one, kept when something failed)
  --json                 one JSON object on standard output at the end; progress goes to standard error
  --write-docs           add this run to chaos/reliability.json and chaos/reliability.md
  --list                 the scenarios
Exit codes: 0 nothing lost, 1 something was, 2 wrong usage.`;

export class UsageError extends Error {}

export function parseOptions(args: string[]): Options {
  let values: Record<string, string | boolean | undefined>;
  try {
    ({ values } = parseArgs({
      args,
      options: {
        profile: { type: 'string', default: 'short' },
        seed: { type: 'string', default: '1' },
        only: { type: 'string' },
        half: { type: 'boolean', default: false },
        queue: { type: 'string' },
        rounds: { type: 'string' },
        timings: { type: 'string' },
        minutes: { type: 'string' },
        logs: { type: 'string' },
        list: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        'write-docs': { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }));
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  if (values.help) throw new UsageError('');
  const text = (name: string) => (values[name] as string | undefined) ?? null;
  const profile = oneOf('--profile', text('profile'), ['short', 'long']) ?? 'short';
  const only = text('only')?.split(',').filter(Boolean) ?? [];
  return {
    profile,
    seed: wholeNumber('--seed', text('seed')) ?? 1,
    only,
    half: values.half === true,
    minutes:
      wholeNumber('--minutes', text('minutes')) ?? (profile === 'short' && only.length === 0 ? 6 : null),
    queue: oneOf('--queue', text('queue'), ['postgres', 'redis']),
    rounds: wholeNumber('--rounds', text('rounds')),
    timings: oneOf('--timings', text('timings'), ['test', 'production']),
    list: values.list === true,
    json: values.json === true,
    writeDocs: values['write-docs'] === true,
    logs: text('logs'),
  };
}

function wholeNumber(name: string, value: string | null): number | null {
  if (value === null) return null;
  if (!/^\d{1,9}$/.test(value)) throw new UsageError(`${name} takes a whole number`);
  return Number(value);
}

function oneOf<T extends string>(name: string, value: string | null, allowed: readonly T[]): T | null {
  if (value === null) return null;
  const found = allowed.find((word) => word === value);
  if (!found) throw new UsageError(`${name} takes one of ${allowed.join(', ')}`);
  return found;
}
