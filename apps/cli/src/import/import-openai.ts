import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { GraftApiError, GraftClient, JobCreateParams } from '@graft/client';
import { type Command, Option } from 'commander';
import type { Answer } from '../answer.ts';
import type { Paint } from '../draw/paint.ts';
import { tableOf } from '../draw/table.ts';
import { UsageError } from '../errors.ts';
import { given, wholeNumber } from '../options/arguments.ts';
import { createOutput, type Output } from '../output.ts';
import type { RemoteOptions } from '../remote/connect.ts';
import { jobFault } from '../remote/create-job.ts';
import { onBadLinesOption } from '../remote/files.ts';
import { serviceVerb } from '../remote/service-verb.ts';
import { noun } from '../verb.ts';
import { type Copier, createCopier } from './copy-file.ts';
import {
  differences,
  type FileRow,
  fileColumns,
  fileRow,
  type ImportReport,
  type JobRow,
  jobColumns,
  readReport,
  writeReport,
} from './import-report.ts';
import { type MapOptions, mapJob, methodOf, modelMapping, type OpenAiJob, originKey } from './map-job.ts';
import { NotTaken, type OpenAiFile, type OpenAiSource, openSource } from './openai-source.ts';

interface Options extends RemoteOptions {
  model?: Map<string, string>;
  job?: string[];
  openaiBaseUrl?: string;
  folder: string;
  hyperparameters: MapOptions['hyperparameters'];
  limit: number;
  maxFileBytes: number;
  onBadLines?: 'fail' | 'skip';
  createJobs?: boolean;
  dryRun?: boolean;
}

const maxFiles = 10_000;
/** Maximum number of Graft jobs that are searched for earlier imports. */
const maxGraftJobs = 100_000;
/** States of jobs that are not imported. */
const ended = ['failed', 'cancelled'];

export function addImportVerbs(program: Command): void {
  const imports = noun(program, 'import', 'import files and jobs from another service: openai');
  const copies =
    'copy fine-tuning files from OpenAI, and prepare its jobs for Graft; changes nothing at OpenAI';
  const examples = [
    '--model gpt-4o-mini=smollm2-135m-instruct --dry-run',
    '--model gpt-4o-mini=smollm2-135m-instruct --job ftjob-… --create-jobs',
  ];
  serviceVerb(imports, 'openai', copies, ...examples)
    .option(
      '--model <theirs=ours>',
      "Graft's base model for a model of OpenAI (* for any); repeatable",
      modelMapping,
    )
    .option('--job <id>', 'only this job and its files; repeatable', (id: string, ids: string[] = []) => [
      ...ids,
      id,
    ])
    .option('--limit <n>', 'maximum number of jobs, newest first', wholeNumber(1), 1000)
    .addOption(
      new Option('--hyperparameters <which>', 'keep the hyperparameters of the job, or let Graft choose them')
        .choices(['keep', 'auto'])
        .default('keep'),
    )
    .option('--folder <path>', 'folder for downloads, the report, and a JSON file per job', 'openai-import')
    .option('--max-file-bytes <n>', 'skip larger files', wholeNumber(1), 2 ** 30)
    .addOption(onBadLinesOption())
    .option('--create-jobs', 'also create the jobs; otherwise they are only prepared, as one JSON file each')
    .option('--dry-run', 'only show what would happen: copy, write and create nothing')
    .option(
      '--openai-base-url <url>',
      'URL of OpenAI or a compatible server (default: OPENAI_BASE_URL, or OpenAI); its key is read from OPENAI_API_KEY',
    )
    .run(importOpenAi);
}

async function importOpenAi(client: GraftClient, options: Options): Promise<Answer> {
  const output = createOutput(options);
  const source = await openSource(options.openaiBaseUrl);
  const earlier = readReport(options.folder);
  const report: ImportReport = {
    object: 'openai_import',
    dry_run: options.dryRun === true,
    files: [],
    jobs: [],
  };
  const { jobs, files } = await readSource(source, options, report.files);

  const known = new Map<string, string>();
  for (const { openai_id, sha256 } of earlier?.files ?? []) if (sha256) known.set(openai_id, sha256);
  const { folder, maxFileBytes: maxBytes, onBadLines } = options;
  const copier = await createCopier({ source, client, folder, maxBytes, onBadLines, known, output });
  const imported = await importedBefore(client, earlier);
  if (!report.dry_run) mkdirSync(join(folder, 'files'), { recursive: true });
  try {
    await takeFiles(files, copier, report, output);
    // Oldest first, so that the versions of an adapter keep their order.
    for (const job of jobs.toReversed()) {
      report.jobs.push(await takeJob(job, imported, client, options, report.files));
    }
  } finally {
    if (!report.dry_run) writeReport(folder, report, earlier);
  }
  if ([...report.files, ...report.jobs].some(({ outcome }) => outcome === 'failed')) process.exitCode = 1;
  return { value: report, text: (paint) => describe(report, options, paint) };
}

/** Reads the selected jobs, newest first, and the files to copy. For files that cannot be read, adds rows to `rows`. */
async function readSource(
  source: OpenAiSource,
  options: Options,
  rows: FileRow[],
): Promise<{ jobs: OpenAiJob[]; files: OpenAiFile[] }> {
  const jobs: OpenAiJob[] = [];
  const files = new Map<string, OpenAiFile>();
  if (options.job) {
    for (const id of new Set(options.job)) {
      if (!/^[\w-]+$/.test(id)) throw new UsageError(`--job ${id} is not the id of a job.`);
      jobs.push(await source.job(id));
    }
    jobs.sort((a, b) => createdAt(b) - createdAt(a));
  } else {
    jobs.push(...(await source.jobs(options.limit)));
    for (const file of await source.files(maxFiles)) files.set(file.id, file);
  }
  const used = jobs
    .filter(({ status }) => !ended.includes(status))
    .flatMap((job) => [job.training_file, ...(job.validation_file ? [job.validation_file] : [])]);
  for (const id of new Set(used)) {
    if (files.has(id)) continue;
    try {
      files.set(id, await source.file(id));
    } catch (error) {
      if (!(error instanceof NotTaken)) throw error;
      const outcome = error.again ? 'failed' : 'left';
      rows.push(fileRow({ id, filename: '', bytes: null }, { outcome, why: error.message }));
    }
  }
  return { jobs, files: [...files.values()] };
}

const createdAt = (job: OpenAiJob): number => Number((job as { created_at?: unknown }).created_at) || 0;

async function takeFiles(
  files: OpenAiFile[],
  copier: Copier,
  report: ImportReport,
  output: Output,
): Promise<void> {
  for (const [i, file] of files.entries()) {
    if (report.dry_run) {
      report.files.push(copier.preview(file));
      continue;
    }
    output.note(`${i + 1}/${files.length} ${file.id}`);
    report.files.push(await copier.copy(file));
  }
}

/** Imported jobs in Graft, by their OpenAI id. */
async function importedBefore(
  client: GraftClient,
  earlier: ImportReport | null,
): Promise<Map<string, string>> {
  const jobs = await client.fineTuning.jobs.list({ limit: 1000 }).toArray(maxGraftJobs);
  const ids = new Set(jobs.map(({ id }) => id));
  const found = new Map<string, string>();
  for (const { openai_id, graft_id } of earlier?.jobs ?? []) {
    if (graft_id !== null && ids.has(graft_id)) found.set(openai_id, graft_id);
  }
  for (const { id, metadata } of jobs) {
    const origin = metadata?.[originKey];
    if (origin !== undefined) found.set(origin, id);
  }
  return found;
}

async function takeJob(
  job: OpenAiJob,
  imported: Map<string, string>,
  client: GraftClient,
  options: Options,
  files: FileRow[],
): Promise<JobRow> {
  const row: JobRow = {
    openai_id: job.id,
    openai_model: job.model,
    method: methodOf(job),
    outcome: 'left',
    graft_id: null,
    create: null,
    differs: [],
    why: null,
  };
  const before = imported.get(job.id);
  if (before !== undefined) return { ...row, outcome: 'there', graft_id: before };
  if (ended.includes(job.status))
    return { ...row, why: `it ${job.status === 'failed' ? 'failed' : 'was cancelled'}` };
  const models = options.model ?? new Map<string, string>();
  const { hyperparameters, onBadLines } = options;
  const mapped = mapJob(job, { models, hyperparameters, onBadLines });
  if (!mapped.create) return { ...row, why: mapped.why };
  const { create, differs } = mapped;
  const missing = [create.training_file, create.validation_file].flatMap((id) => {
    const file = files.find(({ openai_id }) => openai_id === id);
    return file && (file.outcome === 'left' || file.outcome === 'failed') ? [file] : [];
  });
  if (missing.length > 0) {
    const outcome = missing.some((file) => file.outcome === 'failed') ? 'failed' : 'left';
    const why = missing.map((file) => `${file.openai_id} is not here: ${file.why}`).join('; ');
    return { ...row, outcome, differs, why };
  }
  if (options.dryRun)
    return { ...row, differs, create, outcome: options.createJobs ? 'would create' : 'would prepare' };
  let inGraft = withGraftFiles(create, files);
  let prepared: JobRow = { ...row, differs, create: inGraft, outcome: 'prepared' };
  try {
    // Lines that call tools are not bad lines to leave out.
    const fault = await jobFault(client, {
      ...inGraft,
      training: { ...inGraft.training, on_bad_lines: 'fail' },
    });
    if (fault?.message.includes('"chat_template": "tools"')) {
      inGraft = { ...inGraft, training: { ...inGraft.training, chat_template: 'tools' } };
      differs.push(`the chat template of ${create.model} has no tools: Graft's adds them`);
      prepared = { ...prepared, create: inGraft };
    }
    const left = fault && (await jobFault(client, inGraft));
    if (left) throw left;
    if (!options.createJobs) return prepared;
    // The key ensures that two concurrent runs create only one job.
    const { id } = await client.fineTuning.jobs.create(inGraft, {
      idempotencyKey: `openai-import-${job.id}`,
    });
    return { ...prepared, outcome: 'created', graft_id: id };
  } catch (error) {
    const { name, status, message } = error as GraftApiError;
    if (name === 'GraftApiError' && status === 422)
      return { ...prepared, outcome: 'failed', why: 'another run has just created it' };
    if (name !== 'GraftApiError' || status !== 400) throw error;
    return { ...prepared, outcome: 'left', why: `Graft rejected it: ${message}` };
  }
}

function withGraftFiles(create: JobCreateParams, files: FileRow[]): JobCreateParams {
  const graftId = (id: string) => files.find(({ openai_id }) => openai_id === id)?.graft_id ?? id;
  const { training_file: training, validation_file: validation } = create;
  return {
    ...create,
    ...given({
      training_file: training ? graftId(training) : undefined,
      validation_file: validation ? graftId(validation) : undefined,
    }),
  };
}

function describe(report: ImportReport, options: Options, paint: Paint): string {
  const { files, jobs } = report;
  const differing = differences(jobs).map(([text, ids]) => `  ${text} (${jobsOf(ids)})`);
  const prepared = jobs.filter(({ outcome }) => outcome === 'prepared').length;
  return [
    tableOf(files, fileColumns, paint, 'No files of the purpose fine-tune.'),
    '',
    tableOf(jobs, jobColumns, paint, 'No fine-tuning jobs.'),
    ...(differing.length > 0 ? ['', 'Differences:', ...differing] : []),
    '',
    report.dry_run
      ? 'Dry run: nothing was changed. Run the command again without --dry-run.'
      : `The report is in ${join(options.folder, 'report.md')}.`,
    ...(prepared > 0 ? ['Create the jobs by adding --create-jobs: files are not copied again.'] : []),
  ].join('\n');
}

const jobsOf = (ids: string[]): string => (ids.length > 3 ? `${ids.length} jobs` : ids.join(', '));
