import type { StepMetrics } from '../../adapters/checkpoint-adapter.ts';
import { type Database, json } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { type Checkpoint as CheckpointRow, Prisma } from '../../generated/client.ts';
import { newId } from '../../ids.ts';
import { enterDeviceSeconds, recordTokens } from '../../usage/record-usage.ts';
import type { Lease } from '../job.ts';
import { insertEvent } from '../records/job-event.ts';
import { changeJob, holds } from '../transitions/change-job.ts';
import { type JobMetric, lackingMetrics, recordMetrics, rowsAtOnce, upsertMetrics } from './job-metrics.ts';
import { underLease } from './write-under-lease.ts';

export interface Checkpoint {
  id: string;
  jobId: string;
  step: number;
  metrics: StepMetrics;
  /** Relative to the data folder. */
  path: string;
  bytes: number;
  /** SHA-256 of its manifest; null for a checkpoint of an earlier version. */
  digest: string | null;
  /** How long writing it took; null for a checkpoint of an earlier version. */
  seconds: number | null;
  /** When its folder was released in favour of newer ones; null while it is kept. */
  removedAt: Date | null;
  createdAt: Date;
}

export type NewCheckpoint = Pick<Checkpoint, 'step' | 'metrics' | 'path' | 'bytes'> & {
  digest: string;
  seconds: number;
  /** Metrics of steps up to this one that are not written yet. */
  series: readonly JobMetric[];
};

/**
 * Records a checkpoint that is complete and durable on disk, so that attempts can resume from it: writes its row, all metrics up to
 * its step, and the usage so far, in one transaction. A step beyond all earlier checkpoints resets the count of attempts. Safe to
 * repeat. Null when fenced.
 */
export async function recordCheckpoint(
  db: Database,
  lease: Lease,
  checkpoint: NewCheckpoint,
): Promise<Checkpoint | null> {
  const { step, metrics, path, bytes, digest, seconds, series } = checkpoint;
  return await inTransaction(db, async (tx) => {
    const job = await changeJob(
      tx,
      holds(lease, 'running'),
      // 1, not 0: the running attempt is the first one since this checkpoint.
      Prisma.sql`last_checkpoint_step = greatest(last_checkpoint_step, ${step}),
        attempts_since_checkpoint = CASE WHEN ${step} > coalesce(last_checkpoint_step, -1)
                                         THEN 1 ELSE attempts_since_checkpoint END`,
    );
    if (!job) return null;
    await upsertMetrics(tx, job, series);
    await recordTokens(tx, job, step);
    await enterDeviceSeconds(tx, job, lease.epoch);
    const where = { teamId_jobId_step: { teamId: job.teamId, jobId: job.id, step } };
    const before = await tx.checkpoint.findFirst({ where: where.teamId_jobId_step });
    const values = { metrics: json(metrics), path, bytes, digest, seconds, removedAt: null };
    const row = await tx.checkpoint.upsert({
      where,
      create: { id: newId('checkpoint'), ...where.teamId_jobId_step, ...values },
      update: values,
    });
    // The caller repeats a commit whose outcome it could not learn: the event is added once.
    if (before?.path !== path || before.digest !== digest) {
      await insertEvent(tx, job, {
        message: `Checkpoint created at step ${step}: ${sizeOf(bytes)} in ${seconds.toFixed(1)} s`,
        data: { step, bytes, seconds },
      });
    }
    return checkpointOf(row);
  });
}

/** Returns the checkpoints that a new attempt can resume from, newest first. */
export async function listKeptCheckpoints(
  { db }: Database,
  teamId: string,
  jobId: string,
): Promise<Checkpoint[]> {
  const rows = await db.checkpoint.findMany({
    where: { teamId, jobId, removedAt: null },
    orderBy: { step: 'desc' },
  });
  return rows.map(checkpointOf);
}

/** Records that the folders of these steps' checkpoints are about to be removed. False when fenced: remove nothing. */
export async function markCheckpointsDeleted(
  db: Database,
  lease: Lease,
  steps: readonly number[],
): Promise<boolean> {
  return await underLease(db, lease, ['running'], async (tx, job) => {
    await tx.$executeRaw`
      UPDATE checkpoints SET removed_at = now()
      WHERE team_id = ${job.teamId} AND job_id = ${job.id} AND step = ANY (${[...steps]})`;
  });
}

/**
 * Starts a new attempt from the checkpoint at `step` (0: from the beginning), which holds `series`. Makes the job's metrics equal to
 * `series`, and removes the rows of later checkpoints, which a lost attempt wrote. Writes only missing metrics, and only the last
 * batch of them, usually all, in the transaction. Safe to repeat. False when fenced.
 */
export async function resumeFromCheckpoint(
  db: Database,
  lease: Lease,
  step: number,
  series: () => Iterable<JobMetric>,
): Promise<boolean> {
  const lacking = await lackingMetrics(db, lease.id, step, series());
  while (lacking.length > rowsAtOnce)
    if (!(await recordMetrics(db, lease, lacking.splice(0, rowsAtOnce)))) return false;
  const evaluated: number[] = [];
  for (const { kind, step } of series()) if (kind === 'evaluation') evaluated.push(step);
  return await underLease(db, lease, ['running'], async (tx, job) => {
    const past = { teamId: job.teamId, jobId: job.id, step: { gt: step } };
    await tx.jobMetric.deleteMany({ where: past });
    await tx.checkpoint.deleteMany({ where: past });
    // The series has every step up to `step`, but not every step has an evaluation.
    await tx.$executeRaw`
      DELETE FROM job_metrics WHERE team_id = ${job.teamId} AND job_id = ${job.id}
        AND kind = 'evaluation' AND NOT step = ANY (${evaluated})`;
    await upsertMetrics(tx, job, lacking);
  });
}

export function checkpointOf({ teamId: _, metrics, bytes, ...columns }: CheckpointRow): Checkpoint {
  return { ...columns, metrics: metrics as Checkpoint['metrics'], bytes: Number(bytes) };
}

function sizeOf(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const unit = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), units.length - 1);
  return `${(bytes / 1000 ** unit).toPrecision(3)} ${units[unit]}`;
}
