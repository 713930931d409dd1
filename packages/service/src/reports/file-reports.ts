/** Reports on files: requested by a team, computed by one process at a time under a lease, and kept for some days. */
import { createHash } from 'node:crypto';
import { GraftError, invocationOf, leadingPositions } from '@graft/peft-core/config';
import type { ColumnMapping, ExampleReport, ReportedJob } from '@graft/peft-core/examples';
import { type Database, databaseTime, json, type Transaction } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { lockName } from '../database/wait-for-row.ts';
import { Prisma, type FileReport as ReportRow } from '../generated/client.ts';
import type { JobError, ValidationProgress } from '../jobs/job.ts';
import {
  claimWorkAlone,
  endWork,
  failLostWork,
  releaseWork,
  renewWork,
  teamsInTurn,
  type WorkKind,
  type WorkLease,
} from '../work/leased-work.ts';

/** Options of the job that a report is for: those that decide which of the file's tokens are trained on. */
export interface ReportJob extends ReportedJob {
  /** The chat template that replaces the base model's; null: the base model's. */
  chatTemplate: string | null;
}

export interface FileReport {
  teamId: string;
  key: string;
  sha256: string;
  /** Catalogue id of the base model whose tokens are counted; null if none are counted. */
  model: string | null;
  /** Null: the default of training. */
  maxSeqLength: number | null;
  /** The column that each field is in; null: as recognised. */
  columns: ColumnMapping | null;
  /** Null: default options. */
  job: ReportJob | null;
  status: 'running' | 'ready' | 'failed';
  progress: ValidationProgress | null;
  result: ExampleReport | null;
  error: JobError | null;
  createdAt: Date;
  finishedAt: Date | null;
}

const { sql } = Prisma;

/** Reports are due at once. */
export const reportWork = {
  table: 'file_reports',
  key: { teamId: 'team_id', key: 'key' },
  token: 'holder',
  state: {
    column: 'status',
    waiting: 'running',
    leased: 'running',
    also: ['running_for_job'],
    failed: 'failed',
  },
  ended: 'ended_at',
  countsAttempts: true,
} as const satisfies WorkKind<'teamId' | 'key'>;

/** The right to compute a report, lost unless it is renewed in time. */
export type ReportLease = WorkLease<'teamId' | 'key'>;

/** Increase this when the content of reports changes: stored reports of earlier versions are then ignored. */
const reportVersion = 6;
/** Days after which a report is computed again, because a base model may have changed. */
const keptDays = 7;
/** Maximum number of reports kept per team; the oldest are deleted first. A report has at most about 200 kB. */
const keptReports = 50;
/** Maximum number of finished reports for jobs kept per file, so that composing a job does not drop the reports of other files. */
const keptForJobs = 10;
/** Maximum characters of a job's options, as JSON: the chat template has at most 32,768. */
const maxJobCharacters = 100_000;
/** Maximum number of reports per team that wait or are being computed. */
const maxRunning = 16;
/** Seconds after which a report that failed with a system error may be requested again. */
const retrySeconds = 30;
/** Maximum number of processes lost while they computed one report. */
const attemptLimit = 3;

/** States of a report that waits or is being computed. API processes of earlier versions, which know of no jobs, claim `running` alone. */
const underWay = ['running', 'running_for_job'];

function reportOf(row: ReportRow): FileReport {
  const { attempts: _, holder: __, leaseUntil: ___, startedAt: ____, ...columns } = row;
  const status = underWay.includes(row.status) ? 'running' : row.status;
  // Their writers ensure the types of the JSON columns.
  return { ...columns, status } as unknown as FileReport;
}

/** The parts of a job that a report depends on. Of the adapter's configuration, those are few: another rank has the same report. */
function keyOfJob({ peft, ...reading }: ReportJob): unknown[] {
  return [reading, peft.task_type, leadingPositions(peft), invocationOf(peft)];
}

/** Returns the stored report, or a new running one if there is no valid report. Throws GraftError `too_many_reports`, `invalid_value`. */
export async function requestFileReport(
  db: Database,
  teamId: string,
  about: Pick<FileReport, 'sha256' | 'model' | 'maxSeqLength'> & Partial<Pick<FileReport, 'columns' | 'job'>>,
): Promise<FileReport> {
  const { columns = null, job = null, ...rest } = about;
  // Without a job the key is that of earlier versions, whose reports are still valid.
  const parts = [
    reportVersion,
    rest.sha256,
    rest.model,
    rest.maxSeqLength,
    columns,
    ...(job ? keyOfJob(job) : []),
  ];
  const key = createHash('sha256').update(JSON.stringify(parts)).digest('hex');
  if (job && JSON.stringify(job).length > maxJobCharacters) {
    const message = `The options of the job must have at most ${maxJobCharacters} characters as JSON for a report; shorten lists in peft and training.`;
    throw new GraftError('invalid_value', message, { param: null });
  }
  const now = await databaseTime(db);
  const known = await db.db.fileReport.findFirst({ where: { teamId, key } });
  if (known && counts(known, now)) return reportOf(known);
  return await inTransaction(db, async (tx) => {
    await lockName(tx, `graft:reports:${teamId}`);
    const row = await tx.fileReport.findFirst({ where: { teamId, key } });
    if (row && counts(row, now)) return reportOf(row);
    const running = await tx.fileReport.count({ where: { teamId, status: { in: underWay } } });
    if (running >= maxRunning) {
      throw new GraftError(
        'too_many_reports',
        `This team has ${running} reports under way, and ${maxRunning} is the limit; try again when one is ready.`,
        { param: null },
      );
    }
    await tx.fileReport.deleteMany({ where: { teamId, key } });
    await removeSurplus(tx, { teamId }, keptReports);
    if (job)
      await removeSurplus(tx, { teamId, sha256: rest.sha256, job: { not: Prisma.DbNull } }, keptForJobs);
    return reportOf(
      await tx.fileReport.create({
        data: {
          teamId,
          key,
          ...rest,
          ...(columns && { columns: json(columns) }),
          ...(job && { job: json(job), status: 'running_for_job' }),
        },
      }),
    );
  });
}

function counts({ status, createdAt, finishedAt, error }: ReportRow, now: Date): boolean {
  const age = now.getTime() - (finishedAt ?? createdAt).getTime();
  if (underWay.includes(status)) return true;
  const isUsers = status === 'ready' || (error as JobError | null)?.fault === 'user';
  return age < (isUsers ? keptDays * 24 * 3600 : retrySeconds) * 1000;
}

/** Deletes the oldest finished reports among these until `kept` are left, a hundred at most. */
async function removeSurplus(
  tx: Transaction,
  among: Prisma.FileReportWhereInput & { teamId: string },
  kept: number,
): Promise<void> {
  const { teamId } = among;
  const surplus = await tx.fileReport.findMany({
    where: { ...among, status: { notIn: underWay } },
    orderBy: { finishedAt: 'desc' },
    skip: kept,
    take: 100,
    select: { key: true },
  });
  if (surplus.length > 0)
    await tx.fileReport.deleteMany({ where: { teamId, key: { in: surplus.map(({ key }) => key) } } });
}

/**
 * Leases the next report for `leaseSeconds`: the oldest report of the team whose turn was longest ago, among teams of whose
 * reports none is being computed. A report whose process was lost three times fails. Null if there is none. Renew the lease with
 * `heartbeatFileReport`; end it with `finishFileReport` or `releaseFileReport`.
 */
export async function claimFileReport(
  db: Database,
  { leaseSeconds }: { leaseSeconds: number },
): Promise<(FileReport & { lease: ReportLease }) | null> {
  const message = `The process that computed the report was lost ${attemptLimit} times.`;
  const error: JobError = { code: 'report_failed', message, param: null, fault: 'system' };
  await failLostWork(db, reportWork, { attempts: attemptLimit, leaseSeconds, error });
  const size = { count: 1, leaseSeconds };
  const lastTurn =
    '(SELECT max(mine.started_at) FROM file_reports mine WHERE mine.team_id = file_reports.team_id)';
  const [lease] = await claimWorkAlone(db, reportWork, {
    ...size,
    places: teamsInTurn(reportWork, { ...size, perTeam: 1, order: lastTurn }),
    set: sql`started_at = now()`,
  });
  if (!lease) return null;
  const { teamId, key } = lease;
  const row = await db.db.fileReport.findFirst({ where: { teamId, key } });
  return row && { ...reportOf(row), lease };
}

/** Renews the lease. False if the file was deleted, or another process has the report. */
export async function heartbeatFileReport(
  db: Database,
  lease: ReportLease,
  { leaseSeconds, progress }: { leaseSeconds: number; progress: ValidationProgress | null },
): Promise<boolean> {
  const set = sql`progress = ${progress && JSON.stringify(progress)}::jsonb`;
  return await renewWork(db, reportWork, lease, { leaseSeconds, set });
}

/** running → ready or failed. False if the lease is lost. */
export async function finishFileReport(
  db: Database,
  lease: ReportLease,
  end: { result: ExampleReport } | { error: JobError },
): Promise<boolean> {
  const ending =
    'result' in end
      ? { state: 'ready', set: sql`result = ${JSON.stringify(end.result)}::jsonb` }
      : { state: 'failed', set: sql`error = ${JSON.stringify(end.error)}::jsonb` };
  return (await endWork(db, reportWork, lease, ending)) !== null;
}

/** Releases the lease: the report waits for its turn again, and this attempt does not count. */
export async function releaseFileReport(db: Database, lease: ReportLease): Promise<void> {
  await releaseWork(db, reportWork, lease);
}

/** Deletes reports that are too old, or whose file was deleted, because reports quote the file. Returns their number. */
export async function forgetFileReports({ sql }: Database): Promise<number> {
  const { rowCount } = await sql.query(
    `DELETE FROM file_reports AS report WHERE report.ended_at < now() - make_interval(days => $1)
       OR NOT EXISTS (SELECT 1 FROM files WHERE files.team_id = report.team_id AND files.sha256 = report.sha256)`,
    [keptDays],
  );
  return rowCount ?? 0;
}
