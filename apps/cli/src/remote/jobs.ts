import type { FineTuningJob, JobCloneParams, JobPriority, JobStatus } from '@graft/client';
import { jobStatuses } from '@graft/wire/lists';
import { Argument, type Command, Option } from 'commander';
import type { Answer } from '../answer.ts';
import { estimateLine } from '../draw/estimate-view.ts';
import { eventText } from '../draw/event-text.ts';
import type { Paint } from '../draw/paint.ts';
import { printable } from '../draw/printable.ts';
import { count, duration, optional, timestamp } from '../draw/quantities.ts';
import { fields } from '../draw/table.ts';
import { endOfJob } from '../draw/training-end.ts';
import { reasonLines } from '../draw/training-reasons.ts';
import { UsageError } from '../errors.ts';
import { addPair, given, unixTime, wholeNumber } from '../options/arguments.ts';
import { createOutput } from '../output.ts';
import { noun } from '../verb.ts';
import { addListVerb } from './adapters/checkpoints.ts';
import type { RemoteOptions } from './connect.ts';
import { addCreateJobVerb, createdAnswer, jobPriorities, watchOption } from './create-job.ts';
import { listVerb, serviceVerb } from './service-verb.ts';
import { addTrialsVerb } from './trials.ts';

interface ListOptions {
  status?: JobStatus;
  model?: string;
  metadata?: Record<string, string>;
  since?: number;
  before?: number;
}

export function addJobsVerbs(program: Command): void {
  const about =
    'fine-tuning jobs: create, clone, list, get, watch, cancel, pause, resume, delete, priority, events, checkpoints, trials, explain';
  const group = noun(program, 'jobs', about);
  addCreateJobVerb(group);
  addCloneJobVerb(group);

  listVerb(
    group,
    ({ fineTuning: { jobs } }, page, { status, model, metadata, since, before }: ListOptions) =>
      jobs.list({
        ...page,
        ...given({ status, model, metadata, created_after: since, created_before: before }),
      }),
    {
      summary: 'list the jobs of your team, newest first',
      examples: ['--limit 5', '--status failed --metadata run=a'],
      limit: 20,
      pageSize: 100,
      columns: {
        ID: 'id',
        STATUS: 'status',
        STEP: ({ progress }) => progress && `${progress.step}/${progress.total_steps}`,
        MODEL: 'model',
        CREATED: (job) => timestamp(job.created_at),
        RESULT: (job) => job.fine_tuned_model ?? job.error?.code ?? '',
      },
      empty: 'No such jobs. Create one with: graft jobs create --model MODEL --data train.jsonl',
    },
  )
    .addOption(new Option('--status <status>', 'only jobs with this status').choices(jobStatuses))
    .option('--model <id>', 'only jobs of this base model')
    .option('--metadata <key=value>', 'only jobs with this label; repeatable', addPair)
    .option(
      '--since <time>',
      'only jobs created at or after this time, such as 2026-11-01 or 2026-11-01T12:00Z',
      unixTime,
    )
    .option('--before <time>', 'only jobs created before this time', unixTime);

  serviceVerb(group, 'get <id>', 'show a job', 'ftjob-…').run(
    async ({ fineTuning: { jobs } }, id: string) => {
      const job = await jobs.retrieve(id);
      return { value: job, text: (paint) => describeJob(job, paint) };
    },
  );

  const watches = 'follow a job until it ends: progress, speed, time left, loss curve';
  serviceVerb(group, 'watch <id>', watches, 'ftjob-…').run(async (client, id: string, options: object) => {
    const { watchJob } = await import('./watch-job.ts');
    process.exitCode = await watchJob(client, id, createOutput(options));
    return null;
  });
  addChangeVerbs(group);
  addHistoryVerbs(group);
}

function addChangeVerbs(group: Command): void {
  const moves = {
    cancel: { summary: 'cancel a job', done: 'Cancelled' },
    pause: { summary: 'pause a job at its next step, with a checkpoint to resume from', done: 'Paused' },
    resume: { summary: 'resume a paused job', done: 'Resumed' },
  };
  for (const [name, { summary, done }] of Object.entries(moves)) {
    const move = name as keyof typeof moves;
    serviceVerb(group, `${move} <id>`, summary, 'ftjob-…').run(
      async ({ fineTuning: { jobs } }, id: string) => {
        const job = await jobs[move](id);
        const text =
          // A running job changes its state at its next step.
          job.status === 'running'
            ? `Requested to ${move} ${job.id}; it runs until its next step.`
            : `${done} ${job.id}; it is ${job.status} now.`;
        return { value: job, text };
      },
    );
  }

  const deletes = 'delete a finished job with its events, metrics and checkpoints';
  const adapters = new Option('--adapters <what>', 'keep or delete the adapter that it created');
  serviceVerb(group, 'delete <id>', deletes, 'ftjob-…', 'ftjob-… --adapters delete')
    .addOption(adapters.choices(['keep', 'delete']).default('keep'))
    .run(async ({ fineTuning: { jobs } }, id: string, { adapters }: { adapters: 'keep' | 'delete' }) => {
      const deleted = await jobs.delete(id, { adapters });
      return { value: deleted, text: `Deleted ${deleted.id}.` };
    });

  const changes = "change the priority of a job among your team's jobs";
  serviceVerb(group, 'priority <id>', changes, 'ftjob-… high')
    .addArgument(new Argument('<priority>', 'low, normal or high').choices(jobPriorities))
    .run(async ({ fineTuning: { jobs } }, id: string, priority: JobPriority) => {
      const job = await jobs.update(id, { priority });
      return { value: job, text: `${job.id} has ${job.priority} priority now.` };
    });
}

function addHistoryVerbs(group: Command): void {
  serviceVerb(group, 'events <id>', 'list the events of a job, oldest first', 'ftjob-… --follow')
    .option('--limit <n>', 'only this many of the newest events', wholeNumber(1), 100)
    .option('--follow', 'print all events, then new ones as they happen, one per line')
    .run(
      async (
        client,
        id: string,
        options: RemoteOptions & { limit: number; follow?: boolean },
      ): Promise<Answer | null> => {
        const { events } = client.fineTuning.jobs;
        const { json, line, paint } = createOutput(options);
        const lineOf = (event: Parameters<typeof eventText>[0] & { created_at: number }) =>
          `${paint.dim(timestamp(event.created_at))}  ${eventText(event)}`;
        if (options.follow) {
          for await (const event of events.stream(id)) {
            if (json) line(event);
            else process.stdout.write(`${lineOf(event)}\n`);
          }
          return null;
        }
        const list = events.list(id, { limit: Math.min(options.limit, 100) });
        const data = (await list.toArray(options.limit)).reverse();
        const text = () => data.map(lineOf).join('\n') || 'No events yet.';
        return { value: { object: 'list', data }, text };
      },
    );

  addListVerb(group, 'checkpoints');
  addTrialsVerb(group);

  const explains = 'explain what happened to a job: attempts, recoveries, what happens next';
  serviceVerb(group, 'explain <id>', explains, 'ftjob-…').run(async (client, id: string) => {
    const { explainJob } = await import('./explain-job.ts');
    const explained = await explainJob(client, id);
    return { value: explained, text: explained.paragraphs.map(printable).join('\n') };
  });
}

function describeJob(job: FineTuningJob, paint: Paint): string {
  const { progress, error } = job;
  const isRunning = job.status === 'running';
  const base = fields(
    {
      id: job.id,
      status: job.status + (job.queue_position === null ? '' : `, number ${job.queue_position} in the queue`),
      priority: job.priority === 'normal' ? null : job.priority,
      starts:
        job.estimated_start == null || job.estimated_start_latest == null
          ? null
          : `about ${timestamp(job.estimated_start)}, likely by ${timestamp(job.estimated_start_latest)}`,
      model: job.model,
      'starts from': job.start_from,
      result: job.fine_tuned_model,
      error: error && `${error.message} (${error.code})`,
      progress:
        progress &&
        `step ${count(progress.step)} of ${count(progress.total_steps)}, ${count(progress.tokens_per_second)} tokens/s`,
      left: isRunning ? optional(progress?.seconds_remaining, duration) : null,
      estimate: optional(job.estimate, estimateLine),
      ended: endOfJob(job),
      tokens: optional(job.trained_tokens, count),
      data: dataOf(job),
      sweep: job.sweep ? `${JSON.stringify(job.sweep)}, see: graft jobs trials ${job.id}` : null,
      peft: JSON.stringify(job.peft),
      training: JSON.stringify(job.training),
      chosen: reasonLines({ ...job.peft, ...job.training }, job.training_reasons),
      seed: String(job.seed),
      created: timestamp(job.created_at),
      finished: optional(job.finished_at, timestamp),
    },
    paint,
  );
  return isRunning ? `${base}\n\nFollow it with: graft jobs watch ${job.id}` : base;
}

function dataOf(job: FineTuningJob): string {
  const share = job.training.mix_strategy?.startsWith('interleave') ? 'weight' : 'epochs';
  const trained = job.training_files?.map((each) =>
    each[share] === 1 ? each.file : `${each.file}:${each[share]}`,
  );
  const held = job.validation_files?.map(({ file, name }) => `${name}=${file}`) ?? [
    job.validation_file ?? '',
  ];
  const validation = held.join(', ');
  return `${(trained ?? [job.training_file]).join(', ')}${validation && `; validation ${validation}`}`;
}

function addCloneJobVerb(jobs: Command): void {
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
