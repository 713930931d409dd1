import { type Database, json } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { type Checkpoint as CheckpointRow, Prisma } from '../../generated/client.ts';
import { newId } from '../../ids.ts';
import type { Lease } from '../job.ts';
import { insertEvent } from '../records/job-event.ts';
import { changeJob, holds } from '../transitions/change-job.ts';

export interface Checkpoint {
  id: string;
  jobId: string;
  step: number;
  metrics: {
    trainLoss?: number | null;
    trainTokenAccuracy?: number | null;
    validationLoss?: number | null;
    validationTokenAccuracy?: number | null;
  };
  /** Relative to the data folder; only the newest two folders of a job are kept. */
  path: string;
  bytes: number;
  createdAt: Date;
}

export interface NewCheckpoint {
  step: number;
  metrics: Checkpoint['metrics'];
  /** Relative to the data folder. */
  path: string;
  bytes: number;
}

/**
 * Notes a checkpoint that is complete and durable on disk. A step beyond every earlier one starts the count of
 * attempts anew. Null: fenced.
 */
export async function recordCheckpoint(
  db: Database,
  lease: Lease,
  checkpoint: NewCheckpoint,
): Promise<Checkpoint | null> {
  const { step, metrics, path, bytes } = checkpoint;
  return await inTransaction(db, async (tx) => {
    const job = await changeJob(
      tx,
      holds(lease, 'running'),
      // 1, not 0: the running attempt is the first since this checkpoint.
      Prisma.sql`last_checkpoint_step = greatest(last_checkpoint_step, ${step}),
        attempts_since_checkpoint = CASE WHEN ${step} > coalesce(last_checkpoint_step, -1)
                                         THEN 1 ELSE attempts_since_checkpoint END`,
    );
    if (!job) return null;
    const key = { teamId: job.teamId, jobId: job.id, step };
    const values = { metrics: json(metrics), path, bytes };
    const row = await tx.checkpoint.upsert({
      where: { teamId_jobId_step: key },
      create: { id: newId('checkpoint'), ...key, ...values },
      update: values,
    });
    await insertEvent(tx, job, { message: `Checkpoint created at step ${step}`, data: { step } });
    return checkpointOf(row);
  });
}

export function checkpointOf({ teamId: _, metrics, bytes, ...columns }: CheckpointRow): Checkpoint {
  return { ...columns, metrics: metrics as Checkpoint['metrics'], bytes: Number(bytes) };
}
