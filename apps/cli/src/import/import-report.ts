import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JobCreateParams } from '@graft/client';
import { bytes, optional } from '../draw/quantities.ts';
import { type Columns, cellsOf } from '../draw/table.ts';
import { CommandError } from '../errors.ts';
import { readIfPresent } from '../options/arguments.ts';

/**
 * Outcome of a file or a job. `left`: another run would not change it, and `why` gives the reason; `failed`: another run may
 * succeed.
 */
type Outcome = 'there' | 'left' | 'failed';

export interface FileRow {
  openai_id: string;
  filename: string;
  bytes: number | null;
  outcome: Outcome | 'would copy' | 'copied';
  sha256: string | null;
  graft_id: string | null;
  why: string | null;
}

export interface JobRow {
  openai_id: string;
  openai_model: string;
  method: string;
  outcome: Outcome | 'would prepare' | 'would create' | 'prepared' | 'created';
  graft_id: string | null;
  /** The request that creates the job in Graft. It has OpenAI's file ids until the files are copied. */
  create: JobCreateParams | null;
  /** The differences from the job at OpenAI, one sentence each. */
  differs: string[];
  why: string | null;
}

export interface ImportReport {
  object: 'openai_import';
  dry_run: boolean;
  files: FileRow[];
  jobs: JobRow[];
}

export const fileRow = (
  file: Pick<FileRow, 'filename' | 'bytes'> & { id: string },
  more: Partial<FileRow>,
): FileRow => ({
  openai_id: file.id,
  filename: file.filename,
  bytes: file.bytes,
  outcome: 'copied',
  sha256: null,
  graft_id: null,
  why: null,
  ...more,
});

const reportFile = 'report.json';

/** The report of earlier runs into this folder; null where there is none. Throws CommandError for a file that is no report. */
export function readReport(folder: string): ImportReport | null {
  const path = join(folder, reportFile);
  const text = readIfPresent(path);
  if (text === null) return null;
  try {
    const report = JSON.parse(text) as ImportReport;
    if (report.object === 'openai_import' && Array.isArray(report.files) && Array.isArray(report.jobs)) {
      return report;
    }
  } catch {
    // The error is thrown below.
  }
  throw new CommandError(
    `${path} is not a report of an import: delete it, and files are compared by content again.`,
  );
}

/** Writes report.json for the next run, report.md for people, and each job's request. Rows of earlier runs are kept. */
export function writeReport(folder: string, report: ImportReport, earlier: ImportReport | null): void {
  const merged: ImportReport = {
    ...report,
    files: merge(earlier?.files ?? [], report.files),
    jobs: merge(earlier?.jobs ?? [], report.jobs),
  };
  mkdirSync(join(folder, 'jobs'), { recursive: true });
  for (const { openai_id, create } of report.jobs) {
    if (create) writeWhole(join(folder, 'jobs', `${openai_id}.json`), `${JSON.stringify(create, null, 2)}\n`);
  }
  writeWhole(join(folder, 'report.md'), markdown(merged));
  writeWhole(join(folder, reportFile), `${JSON.stringify(merged, null, 2)}\n`);
}

function merge<Row extends { openai_id: string }>(old: Row[], now: Row[]): Row[] {
  return [...new Map([...old, ...now].map((row) => [row.openai_id, row])).values()];
}

function writeWhole(path: string, content: string): void {
  writeFileSync(`${path}.partial`, content);
  renameSync(`${path}.partial`, path);
}

export const fileColumns: Columns<FileRow> = {
  'OPENAI FILE': 'openai_id',
  NAME: 'filename',
  SIZE: (row) => optional(row.bytes, bytes),
  OUTCOME: 'outcome',
  'GRAFT FILE': 'graft_id',
  WHY: 'why',
};

export const jobColumns: Columns<JobRow> = {
  'OPENAI JOB': 'openai_id',
  MODEL: 'openai_model',
  METHOD: 'method',
  OUTCOME: 'outcome',
  'GRAFT JOB': 'graft_id',
  'BASE MODEL': (row) => row.create?.model ?? '',
  WHY: 'why',
};

/** Each distinct difference, with the jobs that have it. */
export function differences(jobs: JobRow[]): [difference: string, jobs: string[]][] {
  const found = new Map<string, string[]>();
  for (const { openai_id, differs } of jobs) {
    for (const difference of differs) found.set(difference, [...(found.get(difference) ?? []), openai_id]);
  }
  return [...found];
}

function markdown({ files, jobs }: ImportReport): string {
  const cell = (text: string) => text.replaceAll(/[\n\r|]/g, ' ');
  const rows = <T extends object>(data: T[], columns: Columns<T>) => {
    const headings = Object.keys(columns);
    return [headings, headings.map(() => '---'), ...cellsOf(data, columns)].map(
      (row) => `| ${row.map(cell).join(' | ')} |`,
    );
  };
  return [
    '# Imported from OpenAI',
    '',
    ...rows(files, fileColumns),
    '',
    ...rows(jobs, jobColumns),
    '',
    '## Differences',
    '',
    ...differences(jobs).map(([difference, ids]) => `- ${cell(difference)} (${ids.join(', ')})`),
    '',
  ].join('\n');
}
