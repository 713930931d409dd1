import { randomInt } from 'node:crypto';
import {
  GraftError,
  type Hyperparameters,
  type PeftConfig,
  type SweepTrial,
  type TrainingOptions,
} from '@graft/peft-core/config';
import type { JobIntegrationRequest } from '@graft/wire/integration';
import { type Priority, priorities } from '@graft/wire/lists';
import type { Actor } from '../../audit/actor.ts';
import { insertAudit } from '../../audit/insert-audit.ts';
import { type Database, deleteInBatches, json, type Transaction } from '../../database/database.ts';
import { tryLockName } from '../../database/wait-for-row.ts';
import { Prisma } from '../../generated/client.ts';
import { newId } from '../../ids.ts';
import { currentTraceparent } from '../../observe/tracing.ts';
import { readQuota, type TeamQuota } from '../../teams/team-quota.ts';
import { checkJobCount, inQuota, limitsJobs } from '../../teams/within-quota.ts';
import { type Job, type JobSweep, type JobTrainingFile, type JobValidationFile, jobOf } from '../job.ts';
import { filesOfJob, type JobFile } from '../job-files.ts';
import { insertEvent } from '../records/job-event.ts';
import { insertTrials } from '../records/job-trial.ts';

export type NewJob = JobRequest & Actor;

interface JobRequest {
  /** Catalogue id of the base model; the caller has checked that it exists. */
  model: string;
  suffix: string | null;
  /** Null: a random one. */
  seed: number | null;
  trainingFileId: string;
  validationFileId: string | null;
  /** Several training or validation files, of which the first are those above. Default: none. */
  trainingFiles?: readonly JobTrainingFile[] | null;
  validationFiles?: readonly JobValidationFile[] | null;
  method: string;
  hyperparameters: Hyperparameters;
  peft: PeftConfig;
  training: TrainingOptions;
  /** The sweep as requested, and its trials; `peft` is then that of the first trial. Default: none. */
  sweep?: (JobSweep & { trials: readonly SweepTrial[] }) | null;
  metadata: Record<string, string> | null;
  /** Default: normal. */
  priority?: Priority | undefined;
  /** The adapter version to continue training from. Default: freshly initialised weights. */
  startFrom?: { id: string; modelName: string } | null;
  /** Trackers that receive the job's metrics: at most one of each type. */
  integrations?: JobIntegrationRequest[];
  /** Costs of its options that users may not expect: an event each. */
  warnings?: readonly string[];
  /** SHA-256 of the canonical request body. */
  requestHash: string;
  /** From the `Idempotency-Key` header. */
  idempotencyKey: string | null;
  /** True where the client reports that it repeats a request (`x-stainless-retry-count` > 0). Then an identical job that the same key, or
   *  the same person without a key, created within the last two minutes is returned instead of a second one. */
  isRetry: boolean;
}

/** How long an Idempotency-Key refers to the job that it created. */
const keptHours = 24;

/**
 * ∅ → validating, in one transaction with the idempotency row and the audit row. `created` is false if the job of
 * an earlier identical request is returned.
 *
 * Throws GraftError `file_not_found` (the file is unknown or another team's), `model_not_found` (the version to start from was
 * deleted), `idempotency_key_reused` (the same requester used the Idempotency-Key with another body within a day), or QuotaExceeded;
 * throws an error that `isRowLocked` recognises if another transaction holds the file, or an identical request, for two seconds.
 */
export async function createJob(
  db: Database,
  teamId: string,
  input: NewJob,
): Promise<{ job: Job; created: boolean }> {
  const token = repetitionOf(teamId, input);
  // Requests that cannot be repetitions of each other never wait for one another.
  const id = newId('job');
  const quota = await readQuota(db, teamId);
  const files = filesOfJob(input);
  return await inQuota(
    db,
    teamId,
    limitsJobs(quota),
    async (tx) => await create(tx, teamId, input, { id, token, quota, files }),
    token ?? id,
  );
}

async function create(
  tx: Transaction,
  teamId: string,
  input: NewJob,
  {
    id,
    token,
    quota,
    files,
  }: { id: string; token: string | null; quota: TeamQuota | null; files: readonly JobFile[] },
): Promise<{ job: Job; created: boolean }> {
  const earlier = token && (await findEarlier(tx, teamId, input, token));
  if (earlier) return { job: earlier, created: false };
  if (limitsJobs(quota)) await checkJobCount(tx, teamId, quota);
  const { trainingFiles = null, validationFiles = null } = input;
  const systemPrompt = await checkFiles(tx, teamId, files);
  if (input.startFrom) await holdVersion(tx, teamId, input.startFrom);
  const { startFrom = null, integrations = [], sweep = null } = input;

  const row = await tx.job.create({
    data: {
      id,
      teamId,
      keyId: input.keyId,
      personId: input.personId ?? null,
      state: 'validating',
      model: input.model,
      suffix: input.suffix,
      seed: input.seed ?? randomInt(2 ** 31),
      trainingFileId: input.trainingFileId,
      systemPrompt,
      validationFileId: input.validationFileId,
      trainingFiles: trainingFiles ? json(trainingFiles) : Prisma.DbNull,
      validationFiles: validationFiles ? json(validationFiles) : Prisma.DbNull,
      dataFileIds: [
        ...new Set([...(trainingFiles ?? []), ...(validationFiles ?? [])].map(({ file }) => file)),
      ],
      method: input.method,
      hyperparameters: json(input.hyperparameters),
      peft: json(input.peft),
      training: json(input.training),
      sweep: sweep
        ? json({ grid: sweep.grid, peft: sweep.peft, comparison: 'late' } satisfies JobSweep)
        : Prisma.DbNull,
      metadata: input.metadata ?? Prisma.DbNull,
      priority: priorities[input.priority ?? 'normal'],
      startFromId: startFrom?.id ?? null,
      startFromModel: startFrom?.modelName ?? null,
      integrations: json(integrations),
      requestHash: input.requestHash,
      traceContext: currentTraceparent(),
    },
  });
  const job = jobOf(row);
  await insertTrials(tx, job, sweep?.trials ?? []);
  if (integrations.length > 0) {
    await tx.jobIntegration.createMany({
      data: integrations.map((settings) => ({
        teamId,
        jobId: id,
        type: settings.type,
        settings: json(settings),
      })),
    });
  }
  if (input.idempotencyKey) {
    const { idempotencyKey: key, requestHash } = input;
    const data = { teamId, actor: actorOf(input), key, requestHash, jobId: job.id };
    await tx.idempotencyKey.create({ data });
  }
  await insertAudit(tx, teamId, input, { action: 'job.create', target: job.id });
  await insertEvent(tx, job, { message: `Created fine-tuning job: ${job.id}` });
  for (const message of input.warnings ?? []) await insertEvent(tx, job, { level: 'warn', message });
  return { job, created: true };
}

/** Returns a string that requests share if they may be one request sent twice. Null if this request cannot be a repetition. */
function repetitionOf(teamId: string, input: NewJob): string | null {
  const { idempotencyKey: key, isRetry, requestHash } = input;
  return key || isRetry ? `graft:create:${teamId}:${actorOf(input)}:${key ?? requestHash}` : null;
}

/** Returns the requester within whom repetitions are recognised: one key, or one person without a key. */
function actorOf({ keyId, personId }: { keyId: string | null; personId?: string | null }): string {
  return keyId ?? personId ?? '';
}

async function findEarlier(
  tx: Transaction,
  teamId: string,
  input: NewJob,
  token: string,
): Promise<Job | null> {
  const { idempotencyKey: key, requestHash, keyId, personId = null } = input;
  // The second of two identical concurrent requests waits for the first, and then finds its rows.
  await tryLockName(tx, token);
  if (key) {
    await tx.$executeRaw`
      DELETE FROM idempotency_keys
      WHERE team_id = ${teamId} AND key = ${key} AND created_at < now() - make_interval(hours => ${keptHours})`;
    const found = await tx.idempotencyKey.findFirst({ where: { teamId, actor: actorOf(input), key } });
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
    WHERE team_id = ${teamId} AND key_id IS NOT DISTINCT FROM ${keyId} AND person_id IS NOT DISTINCT FROM ${personId}
      AND request_hash = ${requestHash}
      AND created_at > now() - interval '2 minutes' ORDER BY created_at DESC LIMIT 1`;
  return latest ? await readJob(tx, teamId, latest.id) : null;
}

/** Deletes expired keys; called every hour. */
export async function forgetIdempotencyKeys(db: Pick<Database, 'sql'>): Promise<void> {
  const expired = `created_at < now() - make_interval(hours => ${keptHours})`;
  await deleteInBatches(db, 'idempotency_keys', expired);
}

async function readJob(tx: Transaction, teamId: string, id: string): Promise<Job | null> {
  const row = await tx.job.findFirst({ where: { teamId, id } });
  return row && jobOf(row);
}

/** Locks the files of the job. Returns the system message that all training files share, or null. */
async function checkFiles(
  tx: Transaction,
  teamId: string,
  files: readonly JobFile[],
): Promise<string | null> {
  const prompts = new Set<string | null>();
  for (const { id, role, param } of files) {
    // Because of the share lock, a concurrent deletion waits until the job that uses the file exists.
    const [file] = await tx.$queryRaw<{ systemPrompt: string | null }[]>`
      SELECT system_prompt AS "systemPrompt" FROM files
      WHERE team_id = ${teamId} AND id = ${id} FOR KEY SHARE NOWAIT`;
    if (!file) throw new GraftError('file_not_found', `No such file: ${id}`, { param });
    if (role === 'training_file') prompts.add(file.systemPrompt);
  }
  const [first = null] = prompts;
  return prompts.size === 1 ? first : null;
}

/** Locks the version, so that a concurrent deletion waits until the job that starts from it exists. */
async function holdVersion(
  tx: Transaction,
  teamId: string,
  { id, modelName }: { id: string; modelName: string },
): Promise<void> {
  const found = await tx.$queryRaw<object[]>`
    SELECT 1 FROM adapter_versions WHERE team_id = ${teamId} AND id = ${id} AND deleted_at IS NULL FOR SHARE NOWAIT`;
  if (found.length > 0) return;
  throw new GraftError('model_not_found', `The model '${modelName}' does not exist.`, {
    param: 'start_from',
  });
}
