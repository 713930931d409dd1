import { type Database, json } from '../../database/database.ts';
import { Prisma } from '../../generated/client.ts';
import type { DataCounts, JobError } from '../job.ts';

/** Results expire after this time, so that an error caused by an old version of Graft does not persist. */
const keptDays = 7;
/** Maximum number of results per team; the oldest are deleted first. */
const keptResults = 1000;
const oldest = () => new Date(Date.now() - keptDays * 24 * 3600 * 1000);
/** Maximum length of a stored error, in characters of JSON; files with a longer error are read again. */
const longestError = 128 * 1024;

/**
 * Returns the result of an earlier validation by this team of the same files, model and options, which `key` is a digest of: the error
 * (null if the files are valid), the tokens of the training file (null if not counted), and the counts of its lines. Null if no
 * result is stored.
 */
export async function findValidationResult(
  { db }: Database,
  teamId: string,
  key: string,
): Promise<{ error: JobError | null; tokens: number | null; counts: DataCounts | null } | null> {
  const row = await db.validationResult.findFirst({ where: { teamId, key, createdAt: { gt: oldest() } } });
  if (!row) return null;
  return {
    error: row.error as JobError | null,
    tokens: row.tokens === null ? null : Number(row.tokens),
    counts: row.counts as DataCounts | null,
  };
}

/** Deletes expired results. Returns their number. */
export async function forgetValidationResults({ db }: Database): Promise<number> {
  return (await db.validationResult.deleteMany({ where: { createdAt: { lte: oldest() } } })).count;
}

/** Stores a result: valid files, or a user error. System errors may be temporary and are not stored. */
export async function keepValidationResult(
  { db }: Database,
  teamId: string,
  key: string,
  error: JobError | null,
  read: { tokens: number; counts: DataCounts } | null = null,
): Promise<void> {
  if (error && (error.fault !== 'user' || JSON.stringify(error).length > longestError)) return;
  const value = error === null ? Prisma.DbNull : json(error);
  const result = {
    error: value,
    tokens: read?.tokens ?? null,
    counts: read ? json(read.counts) : Prisma.DbNull,
  };
  await db.validationResult.upsert({
    where: { teamId_key: { teamId, key } },
    create: { teamId, key, ...result },
    update: { ...result, createdAt: new Date() },
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
