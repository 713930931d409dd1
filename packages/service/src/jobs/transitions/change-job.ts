import type { Transaction } from '../../database/database.ts';
import { Prisma } from '../../generated/client.ts';
import { randomText } from '../../ids.ts';
import { type Job, type JobState, jobOf, type Lease } from '../job.ts';

/** Hears of a job that a loop could not change, and left aside so that the others come on. */
export type JobFaultListener = (fault: { id: string; error: unknown }) => void;

/** SQL: the job of this lease, while that is held and the job is in one of these states. */
export function holds({ id, epoch, token }: Lease, ...states: [JobState, ...JobState[]]): Prisma.Sql {
  return Prisma.sql`id = ${id} AND lease_epoch = ${epoch} AND lease_token IS NOT DISTINCT FROM ${token}::text
    AND state IN (${Prisma.join(states)})`;
}

/** Of a claim. In lower case: it names folders, and some disks do not tell cases apart. */
export function newLeaseToken(): string {
  return randomText(24).toLowerCase();
}

/** The guarded update that every transition is. Null: the guard holds for no job, whoever asked is fenced. */
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
 * Locks the job until the transaction ends, so that it cannot change under a decision. Null: there is none. `noWait`:
 * rejects at once when another transaction has locked it (`isRowLocked`).
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

/** As `lockJob`, of many jobs, without those that another transaction has locked. */
export async function lockFreeJobs(tx: Transaction, guard: Prisma.Sql): Promise<Job[]> {
  return await readRows(
    tx,
    await tx.$queryRaw<{ id: string }[]>`SELECT id FROM jobs WHERE ${guard} FOR UPDATE SKIP LOCKED`,
  );
}

/** The rows as they are now: this transaction holds their locks. */
async function readRows(tx: Transaction, found: { id: string }[]): Promise<Job[]> {
  if (found.length === 0) return [];
  const rows = await tx.job.findMany({ where: { id: { in: found.map(({ id }) => id) } } });
  return rows.map(jobOf);
}
