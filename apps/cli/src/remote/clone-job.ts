import type { JobCloneParams } from '@graft/client';
import type { Command } from 'commander';
import { UsageError } from '../errors.ts';
import { createdAnswer, watchOption } from './create-job.ts';
import { serviceVerb } from './service-verb.ts';

export function addCloneJobVerb(jobs: Command): void {
  const examples = [
    'ftjob-… --set training.learning_rate=1e-4 --set seed=8',
    'ftjob-… --set peft.r=16 --set suffix=larger --watch',
  ];
  serviceVerb(jobs, 'clone <id>', 'create a copy of a job, with changes', ...examples)
    .option(
      '--set <key=value>',
      'option to override, by dotted path: seed, suffix, training.…, peft.…, hyperparameters.n_epochs; the value is JSON or text; repeatable',
      addChange,
    )
    .addOption(watchOption())
    .run(async (client, id: string, options: { set?: JobCloneParams; watch?: boolean }) =>
      createdAnswer(client, await client.fineTuning.jobs.clone(id, options.set), options, ` like ${id}`),
    );
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
