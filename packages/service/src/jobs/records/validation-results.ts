import { type Database, databaseTime, deleteInBatches, json } from '../../database/database.ts';
import { Prisma } from '../../generated/client.ts';
import type { DataCounts, JobError } from '../job.ts';

/** Results expire after this time, so that an error caused by an old version of Graft does not persist. */
const keptDays = 7;
/** Maximum number of results per team; the oldest are deleted first. */
const keptResults = 1000;
/** Returns the time before which results are expired. */
const oldest = async (db: Database) =>
  new Date((await databaseTime(db)).getTime() - keptDays * 24 * 3600 * 1000);
/** Maximum length of a stored error, in characters of JSON; files with a longer error are read again. */
const longestError = 128 * 1024;

/**
 * Returns the result of an earlier validation by this team of the same files, model and options, which `key` is a digest of: the error
 * (null if the files are valid), the tokens of the training file (null if not counted), and the counts of its lines. Null if no
 * result is stored.
 */
export async function findValidationResult(
  db: Database,
  teamId: string,
  key: string,
): Promise<{ error: JobError | null; tokens: number | null; counts: DataCounts | null } | null> {
  const where = { teamId, key, createdAt: { gt: await oldest(db) } };
  const row = await db.db.validationResult.findFirst({ where });
  if (!row) return null;
  return {
    error: row.error as JobError | null,
    tokens: row.tokens === null ? null : Number(row.tokens),
    counts: row.counts as DataCounts | null,
  };
}

export async function forgetValidationResults(db: Pick<Database, 'sql'>): Promise<void> {
  await deleteInBatches(db, 'validation_results', `created_at <= now() - make_interval(days => ${keptDays})`);
}

/** Stores a result: valid files, or a user error. System errors may be temporary and are not stored. */
export async function keepValidationResult(
  database: Database,
  teamId: string,
  key: string,
  error: JobError | null,
  read: { tokens: number; counts: DataCounts } | null = null,
): Promise<void> {
  if (error && (error.fault !== 'user' || JSON.stringify(error).length > longestError)) return;
  const { db } = database;
  const result = {
    error: error === null ? Prisma.DbNull : json(error),
    tokens: read?.tokens ?? null,
    counts: read ? json(read.counts) : Prisma.DbNull,
  };
  await db.validationResult.upsert({
    where: { teamId_key: { teamId, key } },
    create: { teamId, key, ...result },
    update: { ...result, createdAt: await databaseTime(database) },
  });
  const surplus = await db.validationResult.findMany({
    where: { teamId },
    orderBy: { createdAt: 'desc' },
    skip: keptResults,
    take: 100,
    select: { key: true },
  });
  if (surplus.length > 0)
    await db.validationResult.deleteMany({ where: { teamId, key: { in: surplus.map((row) => row.key) } } });
}
