import { randomInt } from 'node:crypto';
import {
  GraftError,
  type Hyperparameters,
  type PeftConfig,
  type TrainingOptions,
} from '@graft/peft-core/config';
import type pg from 'pg';
import { insertAudit } from '../../audit/insert-audit.ts';
import type { Database } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { newId } from '../../ids.ts';
import { type Job, jobColumns } from '../job.ts';
import { insertEvent } from '../records/job-event.ts';

export interface NewJob {
  /** The API key that asks. */
  keyId: string | null;
  /** Catalogue id of the base model; the caller has checked that it exists. */
  model: string;
  suffix: string | null;
  /** Null: a random one. */
  seed: number | null;
  trainingFileId: string;
  validationFileId: string | null;
  method: string;
  hyperparameters: Hyperparameters;
  peft: PeftConfig;
  training: TrainingOptions;
  metadata: Record<string, string> | null;
  /** SHA-256 of the canonical request body. */
  requestHash: string;
  /** From the `Idempotency-Key` header. */
  idempotencyKey: string | null;
  /** The client says that it repeats a request (`x-stainless-retry-count` > 0): an identical job that the same key
   *  created within the last two minutes is answered instead of a second one. */
  isRetry: boolean;
}

/**
 * ∅ → validating, in one transaction with the idempotency row and the audit row. `created` is false when the job of
 * an earlier identical request is answered.
 *
 * Throws GraftError `file_not_found` (the file is unknown or another team's), `idempotency_key_reused` (same key,
 * other body).
 */
export async function createJob(
  db: Database,
  teamId: string,
  input: NewJob,
): Promise<{ job: Job; created: boolean }> {
  return await inTransaction(db, async (tx) => {
    const earlier = await findEarlier(tx, teamId, input);
    if (earlier) return { job: earlier, created: false };
    await checkFile(tx, teamId, input.trainingFileId, 'training_file');
    if (input.validationFileId) await checkFile(tx, teamId, input.validationFileId, 'validation_file');

    const { rows } = await tx.query<Job>(
      `INSERT INTO jobs (id, team_id, key_id, state, model, suffix, seed, training_file_id, validation_file_id,
                         method, hyperparameters, peft, training, metadata, request_hash)
       VALUES ($1, $2, $3, 'validating', $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
       RETURNING ${jobColumns}`,
      [
        newId('job'),
        teamId,
        input.keyId,
        input.model,
        input.suffix,
        input.seed ?? randomInt(2 ** 31),
        input.trainingFileId,
        input.validationFileId,
        input.method,
        JSON.stringify(input.hyperparameters),
        JSON.stringify(input.peft),
        JSON.stringify(input.training),
        input.metadata ? JSON.stringify(input.metadata) : null,
        input.requestHash,
      ],
    );
    const job = rows[0]!;
    if (input.idempotencyKey) {
      await tx.query(
        'INSERT INTO idempotency_keys (team_id, key, request_hash, job_id) VALUES ($1, $2, $3, $4)',
        [teamId, input.idempotencyKey, input.requestHash, job.id],
      );
    }
    await insertAudit(tx, teamId, { keyId: input.keyId, action: 'job.create', target: job.id });
    await insertEvent(tx, job, { message: `Created fine-tuning job: ${job.id}` });
    return { job, created: true };
  });
}

async function findEarlier(tx: pg.PoolClient, teamId: string, input: NewJob): Promise<Job | null> {
  if (!input.idempotencyKey && !input.isRetry) return null;
  // Two identical requests at once: the second waits here and then finds the first one's rows.
  const token = input.idempotencyKey ?? `${input.keyId}:${input.requestHash}`;
  await tx.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [
    `graft:create:${teamId}:${token}`,
  ]);

  if (input.idempotencyKey) {
    const { rows } = await tx.query<Job & { earlierHash: string }>(
      `SELECT ${jobColumns}, k.request_hash AS "earlierHash" FROM idempotency_keys k
       JOIN jobs ON jobs.team_id = k.team_id AND jobs.id = k.job_id WHERE k.team_id = $1 AND k.key = $2`,
      [teamId, input.idempotencyKey],
    );
    const found = rows[0];
    if (!found) return null;
    const { earlierHash, ...job } = found;
    if (earlierHash !== input.requestHash) {
      throw new GraftError(
        'idempotency_key_reused',
        'This Idempotency-Key was used with another request body.',
        {
          param: null,
        },
      );
    }
    return job;
  }
  const { rows } = await tx.query<Job>(
    `SELECT ${jobColumns} FROM jobs WHERE team_id = $1 AND key_id IS NOT DISTINCT FROM $2 AND request_hash = $3
       AND created_at > now() - interval '2 minutes' ORDER BY created_at DESC LIMIT 1`,
    [teamId, input.keyId, input.requestHash],
  );
  return rows[0] ?? null;
}

async function checkFile(tx: pg.PoolClient, teamId: string, fileId: string, param: string): Promise<void> {
  // The share lock makes a deletion at the same moment wait until the job that uses the file exists.
  const { rowCount } = await tx.query('SELECT 1 FROM files WHERE team_id = $1 AND id = $2 FOR KEY SHARE', [
    teamId,
    fileId,
  ]);
  if (!rowCount) throw new GraftError('file_not_found', `No such file: ${fileId}`, { param });
}
