import { databaseTime } from '../database/database.ts';
import type { Services } from '../services.ts';
import { isDamage, type ObjectRow, reportCorruption } from './report-corruption.ts';

type ScrubServices = Pick<Services, 'db' | 'sql' | 'log' | 'files' | 'artifacts'>;

export interface ScrubOptions {
  bytesPerSecond: number;
  /** No further object is begun after this. */
  passMs: number;
  /** An object is read again when it was read this long ago. */
  againMs: number;
  signal?: AbortSignal;
}

export const slowScrub: ScrubOptions = {
  bytesPerSecond: 8 * 2 ** 20,
  passMs: 30_000,
  againMs: 7 * 24 * 3600 * 1000,
};

/**
 * Reads stored files and artifacts through, the longest unread first, and compares them with their rows' digests. What differs is
 * reported, and refused from then on; what is right again is served again. Throws when the store or Postgres is away.
 * Answers how many were read and how many of them are damaged.
 */
export async function scrubObjects(
  services: ScrubServices,
  options: ScrubOptions = slowScrub,
): Promise<{ read: number; damaged: number }> {
  const until = performance.now() + options.passMs;
  const done = { read: 0, damaged: 0 };
  for (const next of [nextFile, nextArtifact]) {
    while (performance.now() < until && !options.signal?.aborted) {
      const now = await databaseTime(services);
      const object = await next(services, new Date(now.getTime() - options.againMs), options);
      if (!object) break;
      const damage = await object.read().then(
        () => null,
        (error: unknown) => {
          if (isDamage(error)) return error;
          throw error;
        },
      );
      if (damage) await reportCorruption(services, object.row, damage);
      await object.mark({ verifiedAt: now, ...(damage ? {} : { corruptAt: null }) });
      done.read += 1;
      done.damaged += damage ? 1 : 0;
    }
  }
  return done;
}

interface ScrubObject {
  row: ObjectRow;
  /** Throws what `verify` of the store throws. */
  read(): Promise<void>;
  mark(data: { verifiedAt: Date; corruptAt?: null }): Promise<unknown>;
}

/** Never read, or else the one that was read longest ago, before `before`. */
const dues = (before: Date) => [{ verifiedAt: null }, { verifiedAt: { lt: before } }];

async function nextFile(
  { db, files }: ScrubServices,
  before: Date,
  options: ScrubOptions,
): Promise<ScrubObject | null> {
  for (const where of dues(before)) {
    const file = await db.file.findFirst({ where, orderBy: { verifiedAt: 'asc' } });
    if (!file) continue;
    const { teamId, id } = file;
    return {
      row: { kind: 'file', teamId, id },
      read: async () => await files.verify({ ...file, bytes: Number(file.bytes) }, options),
      mark: async (data) => await db.file.updateMany({ where: { teamId, id }, data }),
    };
  }
  return null;
}

async function nextArtifact(
  { db, artifacts }: ScrubServices,
  before: Date,
  options: ScrubOptions,
): Promise<ScrubObject | null> {
  for (const where of dues(before)) {
    const version = await db.adapterVersion.findFirst({ where, orderBy: { verifiedAt: 'asc' } });
    if (!version) continue;
    const { teamId, id, jobId, modelName } = version;
    return {
      row: { kind: 'artifact', teamId, id, jobId, modelName },
      read: async () => await artifacts.verify(version.artifact, options),
      mark: async (data) => await db.adapterVersion.updateMany({ where: { teamId, id }, data }),
    };
  }
  return null;
}
