import { GraftError } from '@graft/peft-core/config';
import { findFileByDigest } from '@graft/service/files';
import type { JobError, ValidationProgress } from '@graft/service/jobs';
import { type Claiming, holdLease, startClaiming } from '@graft/service/repeat';
import {
  claimFileReport,
  type FileReport,
  finishFileReport,
  heartbeatFileReport,
  type ReportLease,
  releaseFileReport,
} from '@graft/service/reports';
import type { Services } from '@graft/service/services';
import { isStorageUnavailable } from '@graft/service/storage';
import { computeReport, createReportThread, type ReportThread } from './compute-report.ts';

/**
 * Computes requested reports, one per team at a time across all processes, with teams in turn. Reports of a process that died are claimed
 * again within a lease.
 */
export function startFileReporter(
  services: Services,
  options: { sweepMs: number; timeoutMs: number },
): Claiming {
  const { leaseSeconds } = services.env;
  const { count, heapMb } = services.threads.reports;
  const free = Array.from({ length: count }, () => createReportThread(heapMb));
  const { log } = services;
  return startClaiming<FileReport & { lease: ReportLease }>({
    name: 'file-reports',
    pollMs: options.sweepMs,
    concurrency: count,
    log,
    claim: () => claimFileReport(services, { leaseSeconds }),
    async work(report, { closing }) {
      const thread = free.pop()!;
      try {
        await computeUnderLease(services, thread, report, options.timeoutMs, closing);
      } finally {
        free.push(thread);
      }
    },
    onFault: (err, { teamId }) => log.error({ err, teamId }, 'a report on a file was not finished'),
    closed: () => Promise.all(free.map((thread) => thread.close())),
  });
}

async function computeUnderLease(
  services: Services,
  thread: ReportThread,
  report: FileReport & { lease: ReportLease },
  timeoutMs: number,
  stop: AbortSignal,
): Promise<void> {
  const { lease, teamId } = report;
  const { leaseSeconds } = services.env;
  let progress: ValidationProgress | null = null;
  const held = holdLease(
    `report ${lease.key}`,
    services.log,
    () => heartbeatFileReport(services, lease, { leaseSeconds, progress }),
    // A cancel must take effect within two seconds.
    Math.min(1000, leaseSeconds * 250),
  );
  const signal = AbortSignal.any([stop, held.lost]);
  try {
    const file = await findFileByDigest(services, teamId, report.sha256);
    if (!file) throw new GraftError('file_not_found', 'The file was deleted.', { param: 'file_id' });
    const onProgress = (news: ValidationProgress) => {
      progress = news;
    };
    const result = await computeReport(services, thread, report, file, { timeoutMs, signal, onProgress });
    await finishFileReport(services, lease, { result });
  } catch (error) {
    // The thread may be stuck in a line that takes forever.
    if (signal.aborted) await thread.close();
    if (held.lost.aborted) return;
    if (stop.aborted) return await releaseFileReport(services, lease);
    if (!(error instanceof GraftError) || error.fault !== 'user' || isStorageUnavailable(error))
      services.log.error({ err: error, teamId, sha256: report.sha256 }, 'a report on a file failed');
    await finishFileReport(services, lease, { error: errorOf(error) });
  } finally {
    await held.release();
  }
}

/** The error shown to the team: the full message of a GraftError; details of other errors are only logged. */
function errorOf(error: unknown): JobError {
  if (error instanceof GraftError) {
    const { code, message, param, fault } = error;
    return { code, message, param, fault };
  }
  return {
    code: 'report_failed',
    message: 'The report could not be computed because of a fault of the server.',
    param: null,
    fault: 'system',
  };
}
