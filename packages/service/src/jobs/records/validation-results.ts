import { type Database, json } from '../../database/database.ts';
import { Prisma } from '../../generated/client.ts';
import type { DataCounts, JobError } from '../job.ts';

/** Results are forgotten after this time, so that a fault of an old Graft does not live on. */
const keptDays = 7;
/** Results of one team; the oldest go first. */
const keptResults = 1000;
const oldest = () => new Date(Date.now() - keptDays * 24 * 3600 * 1000);
/** A longer one, in characters as JSON, is not kept: such a file is read again. */
const longestError = 128 * 1024;

/**
 * What an earlier validation of the team's said about the same files, model and options, all of which `key` is a digest of:
 * `{error}`, null for files that are fine, the tokens of the training file, null where they were not counted, and what became of
 * the lines. Null: none is known.
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

/** Deletes those that are too old. Answers how many. */
export async function forgetValidationResults({ db }: Database): Promise<number> {
  return (await db.validationResult.deleteMany({ where: { createdAt: { lte: oldest() } } })).count;
}

/** Keeps a result: files that are fine, or a user's fault. A system's may pass, and is not kept. */
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
