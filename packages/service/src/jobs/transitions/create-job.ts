import { randomInt } from 'node:crypto';
import {
  GraftError,
  type Hyperparameters,
  type PeftConfig,
  type TrainingOptions,
} from '@graft/peft-core/config';
import { insertAudit } from '../../audit/insert-audit.ts';
import { type Database, json, type Transaction } from '../../database/database.ts';
import { RowBusy, waitForRow } from '../../database/wait-for-row.ts';
import { Prisma } from '../../generated/client.ts';
import { newId } from '../../ids.ts';
import { actorOf } from '../../keys/verify-api-key.ts';
import { currentTraceparent } from '../../observe/tracing.ts';
import { readQuota, type TeamQuota } from '../../teams/team-quota.ts';
import { admitJob, inQuota, limitsJobs } from '../../teams/within-quota.ts';
import { type Job, jobOf } from '../job.ts';
import { insertEvent } from '../records/job-event.ts';

export interface NewJob {
  /** The API key that asks. */
  keyId: string | null;
  /** The person who asks, by a key or signed in. */
  personId?: string | null | undefined;
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
 * other body), QuotaExceeded; what `isRowLocked` knows when another transaction holds the file, or an identical request, for two seconds.
 */
export async function createJob(
  db: Database,
  teamId: string,
  input: NewJob,
): Promise<{ job: Job; created: boolean }> {
  const token = repetitionOf(teamId, input);
  // Those that nothing ties together never wait for one another.
  const id = newId('job');
  const quota = await readQuota(db, teamId);
  return await waitForRow(
    token ?? id,
    async () =>
      await inQuota(
        db,
        teamId,
        limitsJobs(quota),
        async (tx) => await create(tx, teamId, input, { id, token, quota }),
      ),
  );
}

async function create(
  tx: Transaction,
  teamId: string,
  input: NewJob,
  { id, token, quota }: { id: string; token: string | null; quota: TeamQuota | null },
): Promise<{ job: Job; created: boolean }> {
  const earlier = token && (await findEarlier(tx, teamId, input, token));
  if (earlier) return { job: earlier, created: false };
  if (limitsJobs(quota)) await admitJob(tx, teamId, quota);
  await checkFile(tx, teamId, input.trainingFileId, 'training_file');
  if (input.validationFileId) await checkFile(tx, teamId, input.validationFileId, 'validation_file');

  const row = await tx.job.create({
    data: {
      id,
      teamId,
      keyId: input.keyId,
      state: 'validating',
      model: input.model,
      suffix: input.suffix,
      seed: input.seed ?? randomInt(2 ** 31),
      trainingFileId: input.trainingFileId,
      validationFileId: input.validationFileId,
      method: input.method,
      hyperparameters: json(input.hyperparameters),
      peft: json(input.peft),
      training: json(input.training),
      metadata: input.metadata ?? Prisma.DbNull,
      requestHash: input.requestHash,
      traceContext: currentTraceparent(),
    },
  });
  const job = jobOf(row);
  if (input.idempotencyKey) {
    const { idempotencyKey: key, requestHash } = input;
    await tx.idempotencyKey.create({ data: { teamId, key, requestHash, jobId: job.id } });
  }
  await insertAudit(tx, teamId, { ...actorOf(input), action: 'job.create', target: job.id });
  await insertEvent(tx, job, { message: `Created fine-tuning job: ${job.id}` });
  return { job, created: true };
}

/** What requests have in common that may be one request sent twice. Null: this one says nothing of the kind. */
function repetitionOf(
  teamId: string,
  { idempotencyKey: key, isRetry, keyId, requestHash }: NewJob,
): string | null {
  return key || isRetry ? `graft:create:${teamId}:${key ?? `${keyId}:${requestHash}`}` : null;
}

async function findEarlier(
  tx: Transaction,
  teamId: string,
  input: NewJob,
  token: string,
): Promise<Job | null> {
  const { idempotencyKey: key, requestHash, keyId } = input;
  // Two identical requests at once: the second waits for the first, and then finds its rows.
  const [lock] = await tx.$queryRaw<{ held: boolean }[]>`
    SELECT pg_try_advisory_xact_lock(hashtextextended(${token}, 0)) AS held`;
  if (!lock?.held) throw new RowBusy();

  if (key) {
    const found = await tx.idempotencyKey.findFirst({ where: { teamId, key } });
    if (!found) return null;
    if (found.requestHash !== requestHash) {
      throw new GraftError(
        'idempotency_key_reused',
        'This Idempotency-Key was used with another request body.',
        { param: null },
      );
    }
    return await readJob(tx, teamId, found.jobId);
  }
  const [latest] = await tx.$queryRaw<{ id: string }[]>`
    SELECT id FROM jobs
    WHERE team_id = ${teamId} AND key_id IS NOT DISTINCT FROM ${keyId} AND request_hash = ${requestHash}
      AND created_at > now() - interval '2 minutes' ORDER BY created_at DESC LIMIT 1`;
  return latest ? await readJob(tx, teamId, latest.id) : null;
}

async function readJob(tx: Transaction, teamId: string, id: string): Promise<Job | null> {
  const row = await tx.job.findFirst({ where: { teamId, id } });
  return row && jobOf(row);
}

async function checkFile(tx: Transaction, teamId: string, fileId: string, param: string): Promise<void> {
  // The share lock makes a deletion at the same moment wait until the job that uses the file exists.
  const found = await tx.$queryRaw<object[]>`
    SELECT 1 FROM files WHERE team_id = ${teamId} AND id = ${fileId} FOR KEY SHARE NOWAIT`;
  if (found.length === 0) throw new GraftError('file_not_found', `No such file: ${fileId}`, { param });
}
