/** Entries of the ledger that transitions and completions write. Those of stored bytes are written by triggers of their tables. */
import type { Database, Transaction } from '../database/database.ts';
import { Prisma } from '../generated/client.ts';

type JobOf = { id: string; teamId: string };

/**
 * SQL: the tokens that a job has trained, each of its steps once: those in its metrics, which a resumed attempt goes on with, or what
 * the ledger has, when a damaged checkpoint has made it begin further back. Null: it has trained none.
 */
export const tokensOfJob = Prisma.sql`greatest(
  (SELECT metric.tokens FROM job_metrics metric
   WHERE metric.team_id = jobs.team_id AND metric.job_id = jobs.id AND metric.kind = 'train' ORDER BY metric.step DESC LIMIT 1),
  (SELECT sum(entry.quantity)::bigint FROM usage_ledger entry
   WHERE entry.team_id = jobs.team_id AND entry.subject = jobs.id AND entry.kind = 'trained_tokens'))`;

/** The job's row is locked: its ledger has the tokens up to the checkpoint at `step`. Fewer than it had are no news. */
export async function enterCheckpoint(tx: Transaction, job: JobOf, step: number): Promise<void> {
  const tokens = Prisma.sql`greatest(entered, coalesce((
    SELECT tokens FROM job_metrics
    WHERE team_id = ${job.teamId} AND job_id = ${job.id} AND kind = 'train' AND step <= ${step} ORDER BY step DESC LIMIT 1), 0))`;
  await enterDifference(tx, job, tokens);
}

/** The job has ended: its ledger's sum is its `trained_tokens`. */
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
 * The seconds of an attempt to train, up to its end or, while it is under way, to now. Every attempt counts, also one that is lost and
 * whose steps another repeats: it had the device. Of a lost one, whose last sign of life may be older than its last entry, this takes
 * back what is too much.
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

/** What one completion took, whether it came to its end or was cut off. */
export interface CompletionUse {
  /** Of the answer. */
  id: string;
  keyId: string | null;
  /** The base or fine-tuned model that answered. */
  model: string;
  baseModel: string;
  inputTokens: number;
  outputTokens: number;
}

/** One statement: both kinds or none. */
export async function enterCompletion(
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
