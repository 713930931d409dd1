/** Ledger entries that transitions and completions write. Triggers of the tables write those of stored bytes. */
import type { Database, Transaction } from '../database/database.ts';
import { Prisma } from '../generated/client.ts';

type JobOf = { id: string; teamId: string };

/**
 * SQL: the tokens that a job has trained, each of its steps once: those in its metrics, which a resumed attempt continues, or those in
 * the ledger, if a damaged checkpoint made it resume from an earlier step. Null if it has trained none.
 */
export const tokensOfJob = Prisma.sql`greatest(
  (SELECT metric.tokens FROM job_metrics metric
   WHERE metric.team_id = jobs.team_id AND metric.job_id = jobs.id AND metric.kind = 'train' ORDER BY metric.step DESC LIMIT 1),
  (SELECT sum(entry.quantity)::bigint FROM usage_ledger entry
   WHERE entry.team_id = jobs.team_id AND entry.subject = jobs.id AND entry.kind = 'trained_tokens'))`;

/** Raises the ledger to the tokens up to the checkpoint at `step`; never lowers it. The caller has locked the job's row. */
export async function recordTokens(tx: Transaction, job: JobOf, step: number): Promise<void> {
  const tokens = Prisma.sql`greatest(entered, coalesce((
    SELECT tokens FROM job_metrics
    WHERE team_id = ${job.teamId} AND job_id = ${job.id} AND kind = 'train' AND step <= ${step} ORDER BY step DESC LIMIT 1), 0))`;
  await enterDifference(tx, job, tokens);
}

/** Makes the ledger's sum equal to the `trained_tokens` of an ended job. */
export async function enterTrainedTokens(tx: Transaction, job: JobOf): Promise<void> {
  await enterDifference(tx, job, Prisma.sql`coalesce(trained_tokens, 0)`);
}

async function enterDifference(tx: Transaction, { teamId, id }: JobOf, total: Prisma.Sql): Promise<void> {
  await tx.$executeRaw`
    INSERT INTO usage_ledger (team_id, kind, quantity, subject, key_id, model, base_model, job_id)
    SELECT team_id, 'trained_tokens', ${total} - entered, id, key_id, model, model, id
    FROM jobs CROSS JOIN (
      SELECT coalesce(sum(quantity), 0) AS entered FROM usage_ledger
      WHERE team_id = ${teamId} AND subject = ${id} AND kind = 'trained_tokens') ledger
    WHERE team_id = ${teamId} AND id = ${id} AND ${total} <> entered`;
}

/**
 * Enters the seconds of a training attempt, up to its end or, while it runs, to now. Every attempt counts, even a lost one whose steps
 * another attempt repeats: it had the device. The last sign of life of a lost attempt may be older than its last entry; then this
 * subtracts the excess.
 */
export async function enterDeviceSeconds(
  tx: Transaction,
  { teamId, id }: JobOf,
  leaseEpoch: number,
): Promise<void> {
  const subject = `${id}/${leaseEpoch}`;
  const seconds = Prisma.sql`round(extract(epoch FROM coalesce(attempt.ended_at, now()) - attempt.started_at), 3)`;
  await tx.$executeRaw`
    INSERT INTO usage_ledger (team_id, kind, quantity, subject, key_id, model, base_model, job_id)
    SELECT jobs.team_id, 'device_seconds', ${seconds} - entered, ${subject}, key_id, model, model, jobs.id
    FROM jobs JOIN job_attempts attempt ON attempt.team_id = jobs.team_id AND attempt.job_id = jobs.id CROSS JOIN (
      SELECT coalesce(sum(quantity), 0) AS entered FROM usage_ledger
      WHERE team_id = ${teamId} AND subject = ${subject} AND kind = 'device_seconds') ledger
    WHERE jobs.team_id = ${teamId} AND jobs.id = ${id} AND attempt.lease_epoch = ${leaseEpoch}
      AND attempt.kind = 'training' AND ${seconds} <> entered`;
}

/** Usage of one completion, finished or interrupted. */
export interface CompletionUse {
  /** Id of the answer. */
  id: string;
  keyId: string | null;
  model: string;
  baseModel: string;
  inputTokens: number;
  outputTokens: number;
}

/** Writes both entries in one statement: both or none. */
export async function recordCompletion(
  { sql }: Pick<Database, 'sql'>,
  teamId: string,
  { id, keyId, model, baseModel, inputTokens, outputTokens }: CompletionUse,
): Promise<void> {
  await sql.query(
    `INSERT INTO usage_ledger (team_id, kind, quantity, subject, key_id, model, base_model)
     VALUES ($1, 'input_tokens', $2, $4, $5, $6, $7), ($1, 'output_tokens', $3, $4, $5, $6, $7)`,
    [teamId, inputTokens, outputTokens, id, keyId, model, baseModel],
  );
}
