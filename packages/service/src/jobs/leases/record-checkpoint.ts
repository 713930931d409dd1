import type { Database } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { newId } from '../../ids.ts';
import { type Checkpoint, checkpointColumns } from './checkpoint.ts';
import type { Lease } from '../job.ts';
import { insertEvent } from '../records/job-event.ts';

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
  return await inTransaction(db, async (tx) => {
    const { rows } = await tx.query<{ teamId: string }>(
      // 1, not 0: the running attempt is the first since this checkpoint.
      `UPDATE jobs SET
         attempts_since_checkpoint = CASE WHEN $3 > coalesce(last_checkpoint_step, -1)
                                          THEN 1 ELSE attempts_since_checkpoint END,
         last_checkpoint_step = greatest(last_checkpoint_step, $3)
       WHERE id = $1 AND lease_epoch = $2 AND state = 'running' RETURNING team_id AS "teamId"`,
      [lease.id, lease.epoch, checkpoint.step],
    );
    const job = rows[0];
    if (!job) return null;
    const inserted = await tx.query<Checkpoint>(
      `INSERT INTO checkpoints (id, team_id, job_id, step, metrics, path, bytes) VALUES ($1, $2, $3, $4, $5, $6, $7)
       ON CONFLICT (team_id, job_id, step) DO UPDATE SET metrics = excluded.metrics, path = excluded.path,
         bytes = excluded.bytes
       RETURNING ${checkpointColumns}`,
      [
        newId('checkpoint'),
        job.teamId,
        lease.id,
        checkpoint.step,
        JSON.stringify(checkpoint.metrics),
        checkpoint.path,
        checkpoint.bytes,
      ],
    );
    await insertEvent(
      tx,
      { id: lease.id, teamId: job.teamId },
      {
        message: `Checkpoint created at step ${checkpoint.step}`,
        data: { step: checkpoint.step },
      },
    );
    return inserted.rows[0]!;
  });
}
