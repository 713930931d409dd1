import type { Transaction } from '../../database/database.ts';
import { Prisma } from '../../generated/client.ts';
import { randomText } from '../../ids.ts';
import { type Job, type JobState, jobOf, type Lease } from '../job.ts';

/** Receives the error of a job that a loop could not change and skipped, so that the other jobs are processed. */
export type JobFaultListener = (fault: { id: string; error: unknown }) => void;

/** SQL: matches the job of this lease, while the lease is held and the job is in one of these states. */
export function holds({ id, epoch, token }: Lease, ...states: [JobState, ...JobState[]]): Prisma.Sql {
  return Prisma.sql`id = ${id} AND lease_epoch = ${epoch} AND lease_token IS NOT DISTINCT FROM ${token}::text
    AND state IN (${Prisma.join(states)})`;
}

/** Draws the token of a claim. Lower case, because it names folders and some file systems ignore case. */
export function newLeaseToken(): string {
  return randomText(24).toLowerCase();
}

/** Runs the guarded update that every transition consists of. Null if no job matches the guard: the caller is fenced. */
export async function changeJob(
  tx: Transaction,
  guard: Prisma.Sql,
  assignments: Prisma.Sql,
): Promise<Job | null> {
  const changed = await tx.$queryRaw<{ id: string }[]>`
    UPDATE jobs SET ${assignments} WHERE ${guard} RETURNING id`;
  const [job] = await readRows(tx, changed);
  return job ?? null;
}

/**
 * Locks the job until the transaction ends, so that it cannot change while the caller decides. Null if there is no such job.
 * `noWait`: rejects immediately if another transaction has locked it (`isRowLocked`).
 */
export async function lockJob(
  tx: Transaction,
  guard: Prisma.Sql,
  options: { noWait?: boolean } = {},
): Promise<Job | null> {
  const noWait = options.noWait ? Prisma.sql`NOWAIT` : Prisma.empty;
  const locked = await tx.$queryRaw<
    { id: string }[]
  >`SELECT id FROM jobs WHERE ${guard} FOR UPDATE ${noWait}`;
  const [job] = await readRows(tx, locked);
  return job ?? null;
}

/** Like `lockJob` for many jobs; skips those that another transaction has locked. */
export async function lockFreeJobs(tx: Transaction, guard: Prisma.Sql): Promise<Job[]> {
  return await readRows(
    tx,
    await tx.$queryRaw<{ id: string }[]>`SELECT id FROM jobs WHERE ${guard} FOR UPDATE SKIP LOCKED`,
  );
}

/** Reads the current rows, whose locks this transaction holds. */
async function readRows(tx: Transaction, found: { id: string }[]): Promise<Job[]> {
  if (found.length === 0) return [];
  const rows = await tx.job.findMany({ where: { id: { in: found.map(({ id }) => id) } } });
  return rows.map(jobOf);
}
