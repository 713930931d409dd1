import { readdir, rmdir, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { GraftError } from '@graft/peft-core/config';
import { type AdapterVersion, findVersionById } from '@graft/service/adapters';
import { admitBaseModel } from '@graft/service/added-models';
import { checkPermitted } from '@graft/service/base-models';
import { dataFolder } from '@graft/service/data-folder';
import { isDatabaseUnavailable } from '@graft/service/database';
import {
  type AdapterExport,
  type ExportLease,
  failExport,
  finishExport,
  heartbeatExport,
  releaseExport,
} from '@graft/service/exports';
import type { JobError } from '@graft/service/jobs';
import { isDamage, reportCorruption } from '@graft/service/maintenance';
import { instruments } from '@graft/service/observe';
import { repeat, retryWhile } from '@graft/service/repeat';
import type { Services } from '@graft/service/services';
import { copyUntrusted, removeBelow, Unexpected } from '@graft/service/storage';
import { faultOf, logFault } from '../processes/child-fault.ts';
import type { ExporterOutcome, ExporterProcess } from './exporter-process.ts';

/** Outcome of a claimed export. `fenced`: it was cancelled or deleted, or another worker has it. */
export type ExportOutcome = 'succeeded' | 'failed' | 'requeued' | 'fenced';

export interface RunExportOptions {
  services: Services;
  exporter: ExporterProcess;
  leaseSeconds: number;
  /** `performance.now()` before the export was claimed, when its lease starts. */
  claimedAt: number;
  /** Aborted when this worker stops: the export is released to other workers. */
  shutdown: AbortSignal;
  log: Services['log'];
}

/** Interval of heartbeats: a cancelled export must end within two seconds. */
const pollMilliseconds = 750;

/**
 * Writes an export that was just claimed: in a child process, into a staging folder of this lease. The worker copies the files, stores them
 * under a new name, and then lists them in the export's row by one guarded UPDATE. Until that UPDATE nothing of them is visible, so
 * whatever is lost before it is only done again. Never throws.
 */
export async function runExport(
  made: AdapterExport,
  lease: ExportLease,
  options: RunExportOptions,
): Promise<ExportOutcome> {
  const { services, exporter, leaseSeconds, shutdown } = options;
  const log = options.log.child({ exportId: made.id });
  const started = performance.now();
  const kill = new AbortController();
  // Nothing of the export may be written any more, or this worker stops.
  const over = new AbortController();
  const end = () => {
    over.abort();
    kill.abort();
  };
  let fenced = false;
  let endsAt = options.claimedAt + leaseSeconds * 1000;
  const progress: { done: number; total: number | null } = { done: 0, total: null };
  exporter.holdUntil(endsAt);
  const heartbeat = repeat(
    `lease of ${made.id}`,
    pollMilliseconds,
    async () => {
      const asked = performance.now();
      // After this the child has ended itself; the export can still be finished or failed if no other worker has it.
      if (asked >= endsAt) kill.abort();
      if (await heartbeatExport(services, lease, { leaseSeconds, ...progress })) {
        endsAt = asked + leaseSeconds * 1000;
        exporter.holdUntil(endsAt);
      } else {
        fenced = true;
        end();
      }
    },
    log,
  );
  shutdown.addEventListener('abort', end);
  if (shutdown.aborted) end();
  let outcome: ExportOutcome;
  let staging: string | null = null;
  try {
    staging = await services.exports.stage(made.id, lease.epoch, lease.token);
    await removeLostStaging(staging, made);
    const signals = { kill: kill.signal, over: over.signal };
    const ended = await attempt(made, lease, staging, { ...options, ...signals, progress });
    if (ended === true) outcome = 'succeeded';
    else if (fenced || ended === false) outcome = 'fenced';
    else if (ended.type === 'killed') outcome = await release(services, lease);
    else outcome = await fail(services, lease, errorOf(ended), over.signal, log);
  } catch (error) {
    if (fenced) outcome = 'fenced';
    else if (shutdown.aborted || (isDatabaseUnavailable(error) && !(error instanceof GraftError)))
      outcome = await release(services, lease).catch(() => 'fenced' as const);
    else {
      log.warn({ err: error }, 'an export failed in the worker');
      const internal = {
        code: 'export_failed',
        message: 'The export stopped because of a fault in the service.',
      };
      const fault = faultOf(error, internal);
      outcome = await fail(services, lease, fault, over.signal, log).catch((again: unknown) => {
        // The lease runs out, and another worker takes the export.
        log.error({ err: again }, 'an export could not be failed');
        return 'fenced' as const;
      });
    }
  } finally {
    await heartbeat.stop();
    shutdown.removeEventListener('abort', end);
    exporter.holdUntil(Number.POSITIVE_INFINITY);
    if (staging) await removeStaging(staging, services).catch(() => {});
  }
  instruments.exports.inc({ outcome });
  instruments.exportSeconds.observe({ outcome }, (performance.now() - started) / 1000);
  log.info({ attempt: made.attempts, format: made.format }, `export left: ${outcome}`);
  return outcome;
}

/** Returns true when the files are listed, false when fenced, otherwise how the child ended. */
async function attempt(
  made: AdapterExport,
  lease: ExportLease,
  staging: string,
  {
    services,
    exporter,
    kill,
    over,
    progress,
  }: RunExportOptions & {
    kill: AbortSignal;
    over: AbortSignal;
    progress: { done: number; total: number | null };
  },
): Promise<boolean | Exclude<ExporterOutcome, { type: 'written' }>> {
  const { version, base, adapterDir } = await prepare(made, services, kill);
  await checkDisk(services, made.reservedBytes);
  const outputDir = join(staging, 'files');
  let isListed = false;
  const end = await exporter.write(
    {
      basePath: base.path,
      baseModelName: base.id,
      digestCache: base.digestCache,
      adapterDir,
      outputDir,
      format: made.format,
      options: made.options,
      name: `${version.adapterName}-v${version.number}`,
    },
    {
      team: made.teamId,
      kill,
      onProgress: (done, total) => {
        progress.done = Math.min(done, total);
        progress.total = total;
      },
      take: async (notes) => {
        const folder = join(staging, 'copy');
        await copyUntrusted(dataFolder(services.env.dataDir).exportStaging, outputDir, folder, {
          totalBytes: made.reservedBytes,
          maxBytes: (path) => (isExportFile(path) ? Number.POSITIVE_INFINITY : null),
          isFolder: isExportFolder,
          signal: over,
        }).catch(refused);
        await removeBelow(staging, outputDir);
        const stored = await services.exports.publish(folder);
        // If the answer to this is lost, it is asked again. The files of a fenced lease belong to nobody, and are collected.
        isListed = await retryWhile(isDatabaseUnavailable, over, () =>
          finishExport(services, lease, { stored, notes }),
        );
        if (!isListed) await services.exports.remove(stored.artifact).catch(() => {});
      },
    },
  );
  return end.type === 'written' ? isListed : end;
}

/** Files of formats have short plain names, at most one folder deep. */
const isExportFile = (path: string) => /^(?:[\w][\w.+=-]{0,200}\/)?[\w][\w.+=-]{0,200}$/.test(path);
const isExportFolder = (path: string) => /^[\w][\w.+=-]{0,200}$/.test(path);

function refused(error: unknown): never {
  if (!(error instanceof Unexpected)) throw error;
  throw new GraftError('export_failed', `The exporter was ended: of what it has written, ${error.message}.`, {
    fault: 'system',
    cause: error,
  });
}

/** Finds version, base model and adapter on this machine. Throws GraftError; its messages are for the team. */
async function prepare(made: AdapterExport, services: Services, signal: AbortSignal) {
  const version = await findVersionById(services, made.teamId, made.versionId);
  if (!version || version.deletedAt !== null)
    throw new GraftError('adapter_version_not_found', 'The version was deleted before it was exported.', {
      param: 'version',
    });
  await checkPermitted(services.baseModels, version, { again: true });
  const base = await services.baseModels.get(version.baseModel, { signal });
  if (!base)
    throw new GraftError(
      'base_model_unavailable',
      `The base model ${version.baseModel} is not available on the workers of this server; its operator may have removed it.`,
      { param: 'model', fault: 'environment' },
    );
  const digest = await admitBaseModel(services, base);
  const { digest: trainedOn = digest } = (version.lineage.base_model ?? {}) as { digest?: unknown };
  if (trainedOn !== digest)
    throw new GraftError(
      'base_model_changed',
      `The base model ${base.id} has other weights now than those that the version was trained on, so it cannot be exported: ask the operator to restore them, or train the version again.`,
      { param: 'model' },
    );
  return { version, base, adapterDir: await adapterOf(services, version) };
}

async function adapterOf(services: Services, version: AdapterVersion): Promise<string> {
  const { artifact, teamId, id, jobId, modelName, corruptAt } = version;
  try {
    return await services.artifacts.localFolder(artifact, { afresh: corruptAt !== null });
  } catch (error) {
    if (isDamage(error)) {
      await reportCorruption(services, { kind: 'artifact', teamId, id, jobId, modelName }, error);
    }
    throw error;
  }
}

/** The child's files and the copy exist at the same time. Throws `storage_full` before anything is written. */
async function checkDisk({ env }: Services, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(env.dataDir);
  if (bavail * bsize >= 2 * bytes) return;
  throw new GraftError(
    'storage_full',
    'The storage of this server has too little space left for the export; its operator must free space.',
    { fault: 'environment' },
  );
}

function errorOf(end: Exclude<ExporterOutcome, { type: 'written' | 'killed' }>): JobError {
  const because = (code: string, message: string, fault: JobError['fault']) => ({
    code,
    message,
    param: null,
    fault,
  });
  switch (end.type) {
    case 'failed': {
      const { stack: _, ...fault } = end.fault;
      return fault;
    }
    case 'stalled':
      return because(
        'exporter_stalled',
        'The process that wrote the export made no progress for too long.',
        'environment',
      );
    case 'rejected':
      return because(
        'export_failed',
        'The process that wrote the export did not work as it should.',
        'system',
      );
    case 'crashed':
      return because(
        'exporter_crashed',
        'The process that wrote the export ended unexpectedly.',
        'environment',
      );
  }
}

async function fail(
  services: Services,
  lease: ExportLease,
  fault: JobError & { stack?: string },
  signal: AbortSignal,
  log: Services['log'],
): Promise<ExportOutcome> {
  logFault('an export failed', fault, log);
  const { code, message, param, fault: kind } = fault;
  const error = { code, message, param, fault: kind };
  const status = await retryWhile(isDatabaseUnavailable, signal, () => failExport(services, lease, error));
  if (status === null) return 'fenced';
  return status === 'queued' ? 'requeued' : 'failed';
}

async function release(services: Services, lease: ExportLease): Promise<ExportOutcome> {
  await releaseExport(services, lease);
  return 'requeued';
}

/** Removes what earlier attempts on this machine have left, but not what later ones write: this worker may have been frozen. */
async function removeLostStaging(folder: string, { leaseEpoch }: AdapterExport): Promise<void> {
  const exportFolder = dirname(dirname(folder));
  for (const epoch of await readdir(exportFolder)) {
    if (Number(epoch) < leaseEpoch) await removeBelow(exportFolder, join(exportFolder, epoch));
  }
}

/** Removes `<export>/<epoch>/<token>` and its parent folders that are then empty. */
async function removeStaging(folder: string, { env }: Services): Promise<void> {
  const { exportStaging } = dataFolder(env.dataDir);
  await removeBelow(exportStaging, folder);
  for (const above of [dirname(folder), dirname(dirname(folder))]) await rmdir(above).catch(() => {});
}
