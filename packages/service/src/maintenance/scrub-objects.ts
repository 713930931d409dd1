import { databaseTime } from '../database/database.ts';
import type { Services } from '../services.ts';
import { checkOwnDataFolder } from '../storage/prove-data-folder.ts';
import { isDamage, type ObjectRow, reportCorruption } from './report-corruption.ts';

type ScrubServices = Pick<Services, 'db' | 'sql' | 'log' | 'env' | 'files' | 'artifacts'>;

export interface ScrubOptions {
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
