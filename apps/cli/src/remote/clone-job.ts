import type { JobCloneParams } from '@graft/client';
import type { Command } from 'commander';
import { UsageError } from '../errors.ts';
import { createOutput } from '../output.ts';
import { type RemoteOptions, verb } from '../verb.ts';
import { connect } from './connect.ts';

interface Options extends RemoteOptions {
  set?: JobCloneParams;
  watch?: boolean;
}

export function addCloneJobVerb(jobs: Command): void {
  verb(jobs, {
    name: 'clone <id>',
    summary: 'create a copy of a job, with changes',
    examples: [
      'graft jobs clone ftjob-… --set training.learning_rate=1e-4 --set seed=8',
      'graft jobs clone ftjob-… --set peft.r=16 --set suffix=larger --watch',
    ],
    remote: true,
  })
    .option(
      '--set <key=value>',
      'option to override, by dotted path: seed, suffix, training.…, peft.…, hyperparameters.n_epochs; the value is JSON or text; repeatable',
      addChange,
    )
    .option('--watch', 'follow the new job, as `graft jobs watch` does')
    .action(async (id: string, options: Options) => {
      const output = createOutput(options);
      const client = await connect(options);
      const job = await client.fineTuning.jobs.clone(id, options.set ?? {});
      if (options.watch) {
        output.note(`Created ${job.id}.`);
        const { watchJob } = await import('./watch-job.ts');
        process.exitCode = await watchJob(client, job.id, output);
        return;
      }
      output.result(
        job,
        () =>
          `Created ${job.id} like ${id}; it is ${job.status}.\nFollow it with: graft jobs watch ${job.id}`,
      );
    });
}

/** Parses `a.b=1` as {a: {b: 1}}. */
function addChange(text: string, before: JobCloneParams = {}): JobCloneParams {
  const equals = text.indexOf('=');
  const names = text.slice(0, equals).split('.');
  if (equals < 1 || names.includes('')) throw new UsageError(`--set must be key=value, not ${text}.`);
  const changes = structuredClone(before) as Record<string, unknown>;
  let place = changes;
  for (const name of names.slice(0, -1)) {
    const inner = Object.hasOwn(place, name) ? place[name] : {};
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner))
      throw new UsageError(`--set ${text}: ${name} already has a value.`);
    define(place, name, inner);
    place = inner as Record<string, unknown>;
  }
  define(place, names.at(-1)!, jsonOrText(text.slice(equals + 1)));
  return changes as JobCloneParams;
}

/** Defines an own property, also for `__proto__`, which the server then rejects. */
function define(place: object, name: string, value: unknown): void {
  Object.defineProperty(place, name, { value, enumerable: true, writable: true, configurable: true });
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
