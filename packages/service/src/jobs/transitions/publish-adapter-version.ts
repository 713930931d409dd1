import type pg from 'pg';
import {
  type AdapterFile,
  type AdapterVersion,
  adapterVersionColumns,
  adapterVersionTables,
} from '../../adapters/adapter.ts';
import type { Database } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { newId } from '../../ids.ts';
import { insertOutbox } from '../../outbox/insert-outbox.ts';
import { fineTunedModelName, type Job, jobColumns, type Lease } from '../job.ts';
import { insertEvent } from '../records/job-event.ts';

export interface NewAdapterVersion {
  /** As `ArtifactStore.publish` answered: the files are already in place under this content address. */
  digest: string;
  files: AdapterFile[];
  bytes: number;
  /** Digests of base, data and code; seed; resolved configuration. */
  lineage: Record<string, unknown>;
  metrics: Record<string, unknown> | null;
  trainedTokens: number;
}

/**
 * running → succeeded, with the adapter, its version and the outbox row, in one transaction: the only way anything
 * is ever published. Null: fenced, or a cancel was asked before the commit (`heartbeatJob` tells which).
 */
export async function publishAdapterVersion(
  db: Database,
  lease: Lease,
  input: NewAdapterVersion,
): Promise<{ job: Job; version: AdapterVersion } | null> {
  return await inTransaction(db, async (tx) => {
    // The lock holds back a cancel from here to the commit.
    const held = await tx.query<Job & { teamName: string }>(
      `SELECT ${jobColumns}, teams.name AS "teamName" FROM jobs JOIN teams ON teams.id = jobs.team_id
       WHERE jobs.id = $1 AND lease_epoch = $2 AND state = 'running' AND cancel_requested_at IS NULL FOR UPDATE OF jobs`,
      [lease.id, lease.epoch],
    );
    const running = held.rows[0];
    if (!running) return null;

    const adapterId = await openAdapter(tx, running);
    const modelName = fineTunedModelName(running, running.teamName);
    await tx.query(
      `INSERT INTO adapter_versions (id, team_id, adapter_id, number, job_id, model_name, digest, bytes, files, peft,
                                     lineage, metrics)
       SELECT $1, $2, $3, 1 + coalesce(max(number), 0), $4, $5, $6, $7, $8, $9, $10, $11
       FROM adapter_versions WHERE team_id = $2 AND adapter_id = $3`,
      [
        newId('version'),
        running.teamId,
        adapterId,
        lease.id,
        modelName,
        input.digest,
        input.bytes,
        JSON.stringify(input.files),
        JSON.stringify(running.peft),
        JSON.stringify(input.lineage),
        input.metrics ? JSON.stringify(input.metrics) : null,
      ],
    );
    const versions = await tx.query<AdapterVersion>(
      `SELECT ${adapterVersionColumns} FROM ${adapterVersionTables} WHERE v.team_id = $1 AND v.job_id = $2`,
      [running.teamId, lease.id],
    );
    const version = versions.rows[0]!;
    await insertEvent(tx, running, { message: `New fine-tuned model created: ${modelName}` });
    await insertEvent(tx, running, { message: 'The job has successfully completed' });
    await insertOutbox(tx, running.teamId, 'fine_tuning.job.succeeded', { id: lease.id });
    const done = await tx.query<Job>(
      `UPDATE jobs SET state = 'succeeded', fine_tuned_model = $3, trained_tokens = $4, lease_until = NULL,
                       finished_at = now()
       WHERE id = $1 AND lease_epoch = $2 AND state = 'running' RETURNING ${jobColumns}`,
      [lease.id, lease.epoch, modelName, input.trainedTokens],
    );
    return { job: done.rows[0]!, version };
  });
}

/** The adapter that this version belongs to, locked so that version numbers stay gapless; made when it is the first. */
async function openAdapter(tx: pg.PoolClient, job: Job): Promise<string> {
  const { rows } = await tx.query<{ id: string }>(
    `INSERT INTO adapters (id, team_id, name, base_model) VALUES ($1, $2, $3, $4)
     ON CONFLICT (team_id, base_model, name) DO UPDATE SET name = excluded.name RETURNING id`,
    [newId('adapter'), job.teamId, job.suffix ?? job.id.slice(-8), job.model],
  );
  return rows[0]!.id;
}
