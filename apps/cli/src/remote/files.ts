import type { FileObject, GraftClient, UploadParams } from '@graft/client';
import { Command, Option } from 'commander';
import { type Answer, printAnswer } from '../answer.ts';
import { fileReportView } from '../draw/file-report-view.ts';
import { bytes, count, optional, timestamp } from '../draw/quantities.ts';
import { fields } from '../draw/table.ts';
import { TransferDisplay } from '../draw/transfer-display.ts';
import { CommandError, UsageError } from '../errors.ts';
import { columnsArgument, columnsHelp, given, wholeNumber } from '../options/arguments.ts';
import { noun } from '../verb.ts';
import type { RemoteOptions } from './connect.ts';
import { listVerb, serviceVerb } from './service-verb.ts';
import { type PlanOptions, planParams, takePlanOptions } from './training-options.ts';
import { uploadFile } from './upload-file.ts';

export function addFilesVerbs(program: Command): void {
  const group = noun(program, 'files', 'training data: upload, report, list, get, delete');

  const uploads =
    'upload JSON lines, a JSON array, CSV, TSV or Parquet, or let the service fetch a data set of the Hub, and report invalid rows; run it again to resume an interrupted upload';
  serviceVerb(
    group,
    'upload <path>',
    uploads,
    'train.jsonl',
    'faq.csv --columns prompt=question,completion=answer',
    "'hf://datasets/organisation/name?split=train'",
  )
    .option('--purpose <purpose>', 'what the file is for', 'fine-tune')
    .option('--columns <mapping>', columnsHelp, columnsArgument)
    .addOption(onBadLinesOption())
    .run(async (client, path: string, options: Pick<UploadParams, 'purpose' | 'columns' | 'onBadLines'>) => {
      const { file, isReused } = await uploadFile(client, path, options);
      if (isReused) process.stderr.write(`${path} is there already as ${file.id}.\n`);
      return fileAnswer(file);
    });

  addReportVerb(group);

  listVerb(
    group,
    ({ files }, page, { purpose }: { purpose?: string }) => files.list({ ...page, ...given({ purpose }) }),
    {
      summary: 'list the files of your team, newest first',
      examples: ['--limit 10'],
      limit: 100,
      columns: {
        ID: 'id',
        FILE: 'filename',
        SIZE: (file) => bytes(file.bytes),
        EXAMPLES: (file) => optional(file.examples, count),
        PURPOSE: 'purpose',
        UPLOADED: (file) => timestamp(file.created_at),
      },
      empty: 'No files yet. Upload one with: graft files upload train.jsonl',
    },
  ).option('--purpose <purpose>', 'only files with this purpose');

  const gets = 'show a file, or save its content';
  serviceVerb(group, 'get <id>', gets, 'file-… --output train.jsonl')
    .option('--output <path>', 'save the content to this file; - is stdout')
    .run(async ({ files }, id: string, { output: path }: { output?: string }) => {
      if (path === undefined) return fileAnswer(await files.retrieve(id));
      const { saveStream } = await import('../save-stream.ts');
      const saved = await saveStream((await files.content(id)).bytes(), path);
      if (path === '-') return null;
      return { value: { path, bytes: saved }, text: `Saved ${bytes(saved)} to ${path}` };
    });

  serviceVerb(group, 'delete <id>', 'delete a file', 'file-…').run(async ({ files }, id: string) => {
    const deleted = await files.delete(id);
    return { value: deleted, text: `Deleted ${deleted.id}` };
  });
}

export const onBadLinesOption = (): Option =>
  new Option(
    '--on-bad-lines <rule>',
    'skip: accept a file with bad lines, which jobs with "on_bad_lines": "skip" leave out',
  ).choices(['fail', 'skip']);

function addReportVerb(group: Command): void {
  const reports =
    'report invalid lines, duplicates, token lengths and target tokens of a file; with options of a job, as that job reads it';
  const examples = [
    'file-… --model smollm2-135m-instruct',
    `file-… --model smollm2-135m-instruct --training '{"train_on":"last_assistant","overlong":"skip"}'`,
  ];
  const verb = serviceVerb(group, 'report <id>', reports, ...examples)
    .option('--model <id>', 'base model whose tokenizer counts the tokens')
    .option('--max-seq-length <n>', 'maximum number of tokens of an example', wholeNumber(1));
  takePlanOptions(verb).run(async (client, id: string, options: ReportOptions) => {
    const request = await reportRequest(client, options);
    const display = new TransferDisplay(process.stderr, 'Reading');
    const report = await client.files
      .waitForReport(id, {
        ...request,
        onProgress: ({ progress }) => progress && display.update(progress.bytes, progress.total_bytes),
      })
      .finally(() => display.close());
    if (report.error) {
      if (options.json) printAnswer(options, { value: report, text: '' });
      throw new CommandError(`${report.error.message} (${report.error.code})`);
    }
    return { value: report, text: (paint) => fileReportView(report, paint) };
  });
}

type ReportOptions = RemoteOptions & Partial<PlanOptions> & { maxSeqLength?: number };

/** A report with default options, or, where any option of a job is given besides these three, for that job. */
async function reportRequest(
  client: GraftClient,
  { model, maxSeqLength, columns, ...options }: ReportOptions,
) {
  const names = takePlanOptions(new Command()).options.map((option) => option.attributeName());
  if (Object.keys(given(options)).every((name) => !names.includes(name)))
    return given({ model, maxSeqLength, columns });
  if (model === undefined) throw new UsageError('Options of a job need --model, which the job would train.');
  const more = given({ max_seq_length: maxSeqLength });
  return { job: await planParams(client, { ...options, ...given({ columns }), model }, more) };
}

const fileAnswer = (file: FileObject): Answer => ({
  value: file,
  text: (paint) =>
    fields(
      {
        id: file.id,
        file: file.filename,
        size: bytes(file.bytes),
        examples: optional(file.examples, count),
        format: file.format,
        columns: file.columns && JSON.stringify(file.columns),
        purpose: file.purpose,
        sha256: file.sha256,
        uploaded: timestamp(file.created_at),
      },
      paint,
    ),
});
