import type { FineTuningJob, JobPriority, JobStatus } from '@graft/client';
import { Argument, type Command, Option } from 'commander';
import { addPair, unixTime, wholeNumber } from '../arguments.ts';
import { estimateLine } from '../draw/estimate-view.ts';
import { printable } from '../draw/printable.ts';
import { count, duration, timestamp } from '../draw/quantities.ts';
import { fields, table } from '../draw/table.ts';
import { endOfJob } from '../draw/training-end.ts';
import { reasonLines } from '../draw/training-reasons.ts';
import { createOutput, type Output } from '../output.ts';
import { noun, type RemoteOptions, verb } from '../verb.ts';
import { addListVerb } from './adapters/checkpoints.ts';
import { addCloneJobVerb } from './clone-job.ts';
import { connect } from './connect.ts';
import { addCreateJobVerb, jobPriorities } from './create-job.ts';
import { addTrialsVerb } from './trials.ts';

const statuses = [
  'validating_files',
  'queued',
  'running',
  'paused',
  'succeeded',
  'failed',
  'cancelled',
] as const satisfies readonly JobStatus[];

interface ListOptions extends RemoteOptions {
  limit: number;
  status?: JobStatus;
  model?: string;
  metadata?: Record<string, string>;
  since?: number;
  before?: number;
}

export function addJobsVerbs(program: Command): void {
  const jobs = noun(
    program,
    'jobs',
    'fine-tuning jobs: create, clone, list, get, watch, cancel, pause, resume, delete, priority, events, checkpoints, trials, explain',
  );
  addCreateJobVerb(jobs);
  addCloneJobVerb(jobs);

  verb(jobs, {
    name: 'list',
    summary: 'list the jobs of your team, newest first',
    examples: ['graft jobs list --limit 5', 'graft jobs list --status failed --metadata run=a'],
    remote: true,
  })
    .option('--limit <n>', 'at most this many', wholeNumber(1), 20)
    .addOption(new Option('--status <status>', 'only jobs with this status').choices(statuses))
    .option('--model <id>', 'only jobs of this base model')
    .option('--metadata <key=value>', 'only jobs with this label; repeatable', addPair)
    .option(
      '--since <time>',
      'only jobs created at or after this time, such as 2026-11-01 or 2026-11-01T12:00Z',
      unixTime,
    )
    .option('--before <time>', 'only jobs created before this time', unixTime)
    .action(async (options: ListOptions) => {
      const output = createOutput(options);
      const client = await connect(options);
      const { status, model, metadata, since, before } = options;
      const list = client.fineTuning.jobs.list({
        limit: Math.min(options.limit, 100),
        ...(status !== undefined && { status }),
        ...(model !== undefined && { model }),
        ...(metadata !== undefined && { metadata }),
        ...(since !== undefined && { created_after: since }),
        ...(before !== undefined && { created_before: before }),
      });
      const data = await list.toArray(options.limit);
      output.result({ object: 'list', data }, () =>
        table(
          ['ID', 'STATUS', 'STEP', 'MODEL', 'CREATED', 'RESULT'],
          data.map((job) => [
            job.id,
            job.status,
            job.progress === null ? '' : `${job.progress.step}/${job.progress.total_steps}`,
            job.model,
            timestamp(job.created_at),
            job.fine_tuned_model ?? job.error?.code ?? '',
          ]),
          output.paint,
          'No such jobs. Create one with: graft jobs create --model MODEL --data train.jsonl',
        ),
      );
    });

  verb(jobs, {
    name: 'get <id>',
    summary: 'show a job',
    examples: ['graft jobs get ftjob-…'],
    remote: true,
  }).action(async (id: string, options: RemoteOptions) => {
    const output = createOutput(options);
    const job = await (await connect(options)).fineTuning.jobs.retrieve(id);
    output.result(job, () => describeJob(job, output));
  });

  verb(jobs, {
    name: 'watch <id>',
    summary: 'follow a job until it ends: progress, speed, time left, loss curve',
    examples: ['graft jobs watch ftjob-…'],
    remote: true,
  }).action(async (id: string, options: RemoteOptions) => {
    const { watchJob } = await import('./watch-job.ts');
    process.exitCode = await watchJob(await connect(options), id, createOutput(options));
  });

  const moves = [
    ['cancel', 'cancel a job', 'Cancelled'],
    ['pause', 'pause a job at its next step, with a checkpoint to resume from', 'Paused'],
    ['resume', 'resume a paused job', 'Resumed'],
  ] as const;
  for (const [move, summary, done] of moves) {
    verb(jobs, {
      name: `${move} <id>`,
      summary,
      examples: [`graft jobs ${move} ftjob-…`],
      remote: true,
    }).action(async (id: string, options: RemoteOptions) => {
      const job = await (await connect(options)).fineTuning.jobs[move](id);
      createOutput(options).result(job, () =>
        // A running job changes its state at its next step.
        job.status === 'running'
          ? `Requested to ${move} ${job.id}; it runs until its next step.`
          : `${done} ${job.id}; it is ${job.status} now.`,
      );
    });
  }

  verb(jobs, {
    name: 'delete <id>',
    summary: 'delete a finished job with its events, metrics and checkpoints',
    examples: ['graft jobs delete ftjob-…', 'graft jobs delete ftjob-… --adapters delete'],
    remote: true,
  })
    .addOption(
      new Option('--adapters <what>', 'keep or delete the adapter that it created')
        .choices(['keep', 'delete'])
        .default('keep'),
    )
    .action(async (id: string, options: RemoteOptions & { adapters: 'keep' | 'delete' }) => {
      const { adapters } = options;
      const deleted = await (await connect(options)).fineTuning.jobs.delete(id, { adapters });
      createOutput(options).result(deleted, () => `Deleted ${deleted.id}.`);
    });

  verb(jobs, {
    name: 'priority <id>',
    summary: "change the priority of a job among your team's jobs",
    examples: ['graft jobs priority ftjob-… high'],
    remote: true,
  })
    .addArgument(new Argument('<priority>', 'low, normal or high').choices(jobPriorities))
    .action(async (id: string, priority: JobPriority, options: RemoteOptions) => {
      const job = await (await connect(options)).fineTuning.jobs.update(id, { priority });
      createOutput(options).result(job, () => `${job.id} has ${job.priority} priority now.`);
    });

  verb(jobs, {
    name: 'events <id>',
    summary: 'list the events of a job, oldest first',
    examples: ['graft jobs events ftjob-… --follow'],
    remote: true,
  })
    .option('--limit <n>', 'only this many of the newest events', wholeNumber(1), 100)
    .option('--follow', 'print all events, then new ones as they happen, one per line')
    .action(async (id: string, options: RemoteOptions & { limit: number; follow?: boolean }) => {
      const output = createOutput(options);
      const { events } = (await connect(options)).fineTuning.jobs;
      const line = (event: { created_at: number; level: string; message: string }) =>
        `${output.paint.dim(timestamp(event.created_at))}  ${event.level === 'info' ? '' : `${event.level}: `}${printable(event.message)}`;
      if (options.follow) {
        for await (const event of events.stream(id)) {
          if (output.json) output.line(event);
          else process.stdout.write(`${line(event)}\n`);
        }
        return;
      }
      const list = events.list(id, { limit: Math.min(options.limit, 100) });
      const data = (await list.toArray(options.limit)).reverse();
      output.result({ object: 'list', data }, () => data.map(line).join('\n') || 'No events yet.');
    });

  addListVerb(jobs, 'checkpoints');
  addTrialsVerb(jobs);

  verb(jobs, {
    name: 'explain <id>',
    summary: 'explain what happened to a job: attempts, recoveries, what happens next',
    examples: ['graft jobs explain ftjob-…'],
    remote: true,
  }).action(async (id: string, options: RemoteOptions) => {
    const { explainJob } = await import('./explain-job.ts');
    const explanation = await explainJob(await connect(options), id);
    createOutput(options).result(explanation, () => explanation.paragraphs.map(printable).join('\n'));
  });
}

function describeJob(job: FineTuningJob, { paint }: Output): string {
  const { progress, error } = job;
  const base = fields(
    [
      ['id', job.id],
      [
        'status',
        job.status + (job.queue_position === null ? '' : `, number ${job.queue_position} in the queue`),
      ],
      ['priority', job.priority === 'normal' ? null : job.priority],
      [
        'starts',
        job.estimated_start == null || job.estimated_start_latest == null
          ? null
          : `about ${timestamp(job.estimated_start)}, likely by ${timestamp(job.estimated_start_latest)}`,
      ],
      ['model', job.model],
      ['starts from', job.start_from ?? null],
      ['result', job.fine_tuned_model],
      ['error', error === null ? null : `${error.message} (${error.code})`],
      [
        'progress',
        progress === null
          ? null
          : `step ${count(progress.step)} of ${count(progress.total_steps)}, ${count(progress.tokens_per_second)} tokens/s`,
      ],
      [
        'left',
        job.status !== 'running' || progress?.seconds_remaining == null
          ? null
          : duration(progress.seconds_remaining),
      ],
      ['estimate', job.estimate ? estimateLine(job.estimate) : null],
      ['ended', endOfJob(job)],
      ['tokens', job.trained_tokens === null ? null : count(job.trained_tokens)],
      [
        'data',
        job.training_file + (job.validation_file === null ? '' : `, validation ${job.validation_file}`),
      ],
      ['sweep', job.sweep ? `${JSON.stringify(job.sweep)}, see: graft jobs trials ${job.id}` : null],
      ['peft', JSON.stringify(job.peft)],
      ['training', JSON.stringify(job.training)],
      ...reasonLines({ ...job.peft, ...job.training }, job.training_reasons).map(
        (line, i): [string, string] => [i === 0 ? 'chosen' : '', line],
      ),
      ['seed', String(job.seed)],
      ['created', timestamp(job.created_at)],
      ['finished', job.finished_at === null ? null : timestamp(job.finished_at)],
    ],
    paint,
  );
  return job.status === 'running' ? `${base}\n\nFollow it with: graft jobs watch ${job.id}` : base;
}
