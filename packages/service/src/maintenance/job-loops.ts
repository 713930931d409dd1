import path from 'node:path';
import { scrubBaseModels } from '../base-models/admit-base-model.ts';
import { dataFolder } from '../data-folder/data-folder.ts';
import { databaseTime } from '../database/database.ts';
import { extendLeases } from '../database/lease-expiry.ts';
import type { ExclusiveLock } from '../database/run-exclusive.ts';
import { expireExports } from '../exports/expire-exports.ts';
import { endExportLeases } from '../exports/export-lease.ts';
import type { Job } from '../jobs/job.ts';
import { forgetValidationResults } from '../jobs/records/validation-results.ts';
import type { JobFaultListener } from '../jobs/transitions/change-job.ts';
import { forgetIdempotencyKeys } from '../jobs/transitions/create-job.ts';
import { dispatchJobs, staleDispatched, takeBackDispatched } from '../jobs/transitions/dispatch-jobs.ts';
import { sweepExpiredLeases } from '../jobs/transitions/expiry/sweep-expired-leases.ts';
import { preemptForStarved } from '../jobs/transitions/preempt-job.ts';
import { instruments } from '../observe/instruments.ts';
import type { Dispatch } from '../queue/job-queue.ts';
import { type Closable, type Loop, startLoops } from '../repeat.ts';
import { forgetFileReports } from '../reports/file-reports.ts';
import type { Services } from '../services.ts';
import { removeBelow } from '../storage/disk/remove-below.ts';
import { checkOwnDataFolder } from '../storage/prove-data-folder.ts';
import { expireUploads } from '../uploads/expire-uploads.ts';
import {
  findDeadLocalWorkers,
  removeDeadLocalWorkers,
  removeDeadWorkers,
} from '../workers/worker-registry.ts';
import { collectDeleted, collectDeletedMs } from './collect-deleted.ts';
import { collectGarbage } from './collect-garbage.ts';
import { collectLocal } from './collect-local.ts';
import { isDamage, type ObjectRow, reportCorruption } from './report-corruption.ts';

/** Seconds after which a ring without a claim is repeated. */
const ringAgainSeconds = 15;

/**
 * Starts dispatcher, preemption if the operator enables it, sweeper and reconciler. Every worker's parent process runs these loops, and
 * takes turns with the others. A pass that fails (Postgres or the queue unavailable) is retried; a job that fails does not stop the others.
 */
export function startJobLoops(services: Services): Closable {
  const { queue, env, log } = services;
  const onFault = (what: string): JobFaultListener => {
    const known = new Set<string>();
    return ({ id, error }) => {
      // Logged once: the next passes fail in the same way.
      if (!known.has(id)) log.error({ err: error, jobId: id }, `${what} a job failed`);
      known.add(id);
    };
  };
  const ring = async (lease: Dispatch) =>
    // The reconciler repeats a ring that fails.
    await queue.ring(lease).catch((error: unknown) => {
      log.warn({ err: error, jobId: lease.id }, 'ringing for a job failed');
    });
  const dispatching = { onLease: ring, onFault: onFault('dispatching') };
  const preempt = async () => {
    const job = await preemptForStarved(services, { seconds: env.preemptSeconds });
    if (job) log.info({ jobId: job.id }, 'job preempted for a waiting team');
  };
  const reconcile = async () => {
    const back = await takeBackDispatched(services, { seconds: ringAgainSeconds });
    if (back.length > 0) log.warn({ jobIds: back }, 'no living worker can run dispatched jobs: queued again');
    for (const lease of await staleDispatched(services, { seconds: ringAgainSeconds }))
      await queue.ring(lease);
  };
  const sweep = sweeper(services, onFault('sweeping'));
  const sweepNeighbours = neighbourSweeper(services, onFault('sweeping'));
  const preemptSeconds = Math.min(5, env.preemptSeconds);
  return startLoops(services, [
    { name: 'dispatch', seconds: 0.5, inTurns: true, work: () => dispatchJobs(services, dispatching) },
    ...(env.preemptSeconds > 0
      ? [{ name: 'preempt', seconds: preemptSeconds, inTurns: true, work: preempt }]
      : []),
    { name: 'sweep', seconds: env.sweepSeconds, inTurns: true, work: (_, turn) => sweep(turn) },
    { name: 'reconcile', seconds: Math.min(5, env.sweepSeconds), inTurns: true, work: reconcile },
    {
      name: 'scrub',
      seconds: 60,
      inTurns: true,
      work: (_, { stopping: signal }) => scrubObjects(services, { ...slowScrub, signal }),
    },
    // These concern the machine's own processes and folders, so they run on each machine.
    { name: 'sweep-neighbours', seconds: 1, work: sweepNeighbours },
    {
      name: 'collect-deleted',
      seconds: collectDeletedMs / 1000,
      work: () => collectDeleted(services, { parts: false }),
    },
    { name: 'collect-local', seconds: 3600, work: () => collectLocal(services) },
    {
      name: 'scrub-base-models',
      seconds: 3600,
      work: (_, { stopping }) => scrubBaseModels(services, stopping),
    },
  ]);
}

/** The loops that delete rows of many kinds. Only API processes run them: workers lack the permission. */
export const housekeeping: readonly Loop<Services>[] = [
  {
    name: 'collect',
    seconds: 3600,
    inTurns: true,
    work: async (services) => {
      await removeDeadWorkers(services);
      await collectGarbage(services);
    },
  },
  {
    // Apart, since the store may be unavailable for long.
    name: 'forget',
    seconds: 3600,
    inTurns: true,
    work: async (services) => {
      await forgetFileReports(services);
      await forgetIdempotencyKeys(services);
      await forgetValidationResults(services);
    },
  },
  { name: 'expire-uploads', seconds: 60, inTurns: true, work: expireUploads },
  { name: 'expire-exports', seconds: 60, inTurns: true, work: expireExports },
];

/**
 * If no process has swept for half a lease, Postgres was unavailable, or cut off from all processes, and lease holders
 * could not renew their leases either: they get one full lease to do so. The time is read from Postgres, so that a process that
 * has just started knows it too.
 */
function sweeper(
  services: Pick<Services, 'db' | 'sql' | 'log' | 'env'>,
  onFault: JobFaultListener,
): (turn: ExclusiveLock) => Promise<void> {
  const { leaseSeconds, sweepSeconds } = services.env;
  return async ({ idleSeconds }) => {
    if (idleSeconds !== null && idleSeconds > leaseSeconds / 2 + sweepSeconds) {
      services.log.info(
        { seconds: Math.round(idleSeconds) },
        'no process swept leases for a while: each gets one more period',
      );
      await extendLeases(services, leaseSeconds);
    }
    logSwept(services, await sweepExpiredLeases(services, { leaseSeconds, onFault }));
  };
}

/** Sweeps the jobs of this machine's dead workers, long before their leases run out. */
function neighbourSweeper(services: Services, onFault: JobFaultListener): () => Promise<void> {
  const { leaseSeconds } = services.env;
  return async () => {
    const dead = await findDeadLocalWorkers(services);
    if (dead.length === 0) return;
    logSwept(services, await sweepExpiredLeases(services, { leaseSeconds, dead, onFault }));
    await endExportLeases(services, dead);
    await removeDeadLocalWorkers(services, dead);
    // Their trainers' views of the data folder hold hard links to teams' files, which would outlive the originals.
    const { slots } = dataFolder(services.env.dataDir);
    for (const id of dead) await removeBelow(slots, path.join(slots, id));
  };
}

function logSwept({ log }: Pick<Services, 'log'>, jobs: Job[]): void {
  for (const { id, state, leaseEpoch } of jobs) {
    instruments.lostLeases.inc({ state });
    log.warn({ jobId: id, state, leaseEpoch }, "swept a lost worker's job");
  }
}

type ScrubServices = Pick<Services, 'db' | 'sql' | 'log' | 'env' | 'files' | 'artifacts'>;

interface ScrubOptions {
  bytesPerSecond: number;
  /** No further object is started after this time. */
  passMs: number;
  /** An object is read again when its last read was this long ago. */
  againMs: number;
  signal?: AbortSignal;
}

/** This number of unreadable objects ends a pass: the store is probably unavailable. */
const maxFaults = 10;

export const slowScrub: ScrubOptions = {
  bytesPerSecond: 8 * 2 ** 20,
  passMs: 30_000,
  againMs: 7 * 24 * 3600 * 1000,
};

/**
 * Reads stored files and artifacts, the longest unread first, and compares them with the digests in their rows. A mismatch is reported,
 * and the object is refused from then on; an object that matches again is served again. An object that cannot be read, which says
 * nothing about its content, is left for the next pass, and the error is thrown at the end: one bad sector does not stop the scrub.
 * Throws if Postgres is unavailable, and if the data folder does not belong to this installation.
 * Returns the number of objects read, and how many of them are damaged.
 */
export async function scrubObjects(
  services: ScrubServices,
  options: ScrubOptions = slowScrub,
): Promise<{ read: number; damaged: number }> {
  await checkOwnDataFolder(services);
  const until = performance.now() + options.passMs;
  const done = { read: 0, damaged: 0 };
  const faults: { id: string; error: unknown }[] = [];
  for (const find of [findFile, findArtifact, findCheckpoint]) {
    while (performance.now() < until && !options.signal?.aborted && faults.length < maxFaults) {
      const now = await databaseTime(services);
      const before = new Date(now.getTime() - options.againMs);
      const [unread, old] = dues(
        before,
        faults.map(({ id }) => id),
      );
      const object = (await find(services, unread, options)) ?? (await find(services, old, options));
      if (!object) break;
      const error: unknown = await object.read().then(
        () => null,
        (fault) => fault,
      );
      const damage = isDamage(error) ? error : null;
      if (error !== null && !damage) {
        if (options.signal?.aborted) throw error;
        faults.push({ id: object.row.id, error });
        continue;
      }
      // The data folder was removed or unmounted meanwhile.
      if (damage && !(await reportCorruption(services, object.row, damage))) throw damage;
      await object.mark({ verifiedAt: now, ...(damage ? {} : { corruptAt: null }) });
      done.read += 1;
      done.damaged += damage ? 1 : 0;
    }
  }
  if (faults[0]) throw faults[0].error;
  return done;
}

interface ScrubObject {
  row: ObjectRow;
  /** Throws what the store's `verify` throws. */
  read(): Promise<void>;
  mark(data: { verifiedAt: Date; corruptAt?: null }): Promise<unknown>;
}

/** Filters: never read, else read before `before`, longest ago first; without the ids in `passedOver`. */
const dues = (before: Date, passedOver: string[]) => {
  const id = { notIn: passedOver };
  return [
    { id, verifiedAt: null },
    { id, verifiedAt: { lt: before } },
  ] as const;
};

/** Returns the object of one kind that is due first by a filter of `dues`; null if none is. */
type FindDue = (
  services: ScrubServices,
  where: ReturnType<typeof dues>[number],
  options: ScrubOptions,
) => Promise<ScrubObject | null>;

const orderBy = { verifiedAt: 'asc' } as const;

const findFile: FindDue = async ({ db, files }, where, options) => {
  const file = await db.file.findFirst({ where, orderBy });
  if (!file) return null;
  const { teamId, id } = file;
  return {
    row: { kind: 'file', teamId, id },
    read: async () => await files.verify({ ...file, bytes: Number(file.bytes) }, options),
    mark: async (data) => await db.file.updateMany({ where: { teamId, id }, data }),
  };
};

const findArtifact: FindDue = async ({ db, artifacts }, where, options) => {
  const version = await db.adapterVersion.findFirst({ where, orderBy });
  if (!version) return null;
  const { teamId, id, jobId, modelName, artifact } = version;
  return {
    row: { kind: 'artifact', teamId, id, jobId, modelName },
    read: async () => await artifacts.verify(artifact, options),
    mark: async (data) => await db.adapterVersion.updateMany({ where: { teamId, id }, data }),
  };
};

const findCheckpoint: FindDue = async ({ db, artifacts }, where, options) => {
  const adapter = await db.checkpointAdapter.findFirst({ where, orderBy });
  if (!adapter) return null;
  const { teamId, id, jobId, modelName, artifact } = adapter;
  return {
    row: { kind: 'checkpoint', teamId, id, jobId, modelName },
    read: async () => await artifacts.verify(artifact, options),
    mark: async (data) => await db.checkpointAdapter.updateMany({ where: { teamId, id }, data }),
  };
};
