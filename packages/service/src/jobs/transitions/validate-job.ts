/** Validation is leased work like training: one process claims it, renews its lease, can be fenced, and its attempts are counted. */
import {
  duplicatesRemark,
  overlapRemark,
  type ResolvedTraining,
  unreadRemark,
} from '@graft/peft-core/config';
import type { ExampleCounts } from '@graft/peft-core/examples';
import { type Database, statementWithin, type Transaction } from '../../database/database.ts';
import { isDatabaseUnavailable, isRowLocked } from '../../database/database-unavailable.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { hasExpired, renewalMs } from '../../database/lease-expiry.ts';
import { Prisma } from '../../generated/client.ts';
import { readQuota } from '../../teams/team-quota.ts';
import { admitTokens, inQuota, QuotaExceeded } from '../../teams/within-quota.ts';
import {
  type DataCounts,
  type Job,
  type JobError,
  type JobEstimate,
  type Lease,
  leaseOf,
  type ValidationProgress,
} from '../job.ts';
import { insertEvent } from '../records/job-event.ts';
import { resolveTrials } from '../records/job-trial.ts';
import { advanceClock, atWork, claimTurn, rank, teamTurns } from '../turns/team-turns.ts';
import { changeJob, holds, lockFreeJobs, lockJob, newLeaseToken } from './change-job.ts';
import { endJob } from './end-job.ts';
import { beginAttempt, endAttempt } from './job-attempts.ts';
import { returnLimit, returnMinutes } from './return-job.ts';

/** Maximum number of validations that break without getting further than an earlier one; the last of them fails the job. */
const brokenLimit = 3;
/** Maximum number of validations that run out of time. */
const timeoutLimit = 2;
/**
 * The same limit for processes that were lost while they validated. Higher, because they may have been killed for another reason, and a
 * whole service may be killed repeatedly.
 */
const lostLimit = 8;
/** Seconds until a retry, by the number of losses: none at first, then growing, so that a crash loop does not use up all attempts. */
const lostSeconds = [0, 0, 15, 60, 120, 300, 600];

const validatorLost: JobError = {
  code: 'validator_lost',
  message: `The process that validated the files was lost ${lostLimit} times without getting any further.`,
  param: null,
  fault: 'system',
};

/**
 * Claims a job in state validating for `leaseSeconds`, lease epoch + 1, validation attempt + 1: job `id`, or else the first job of
 * the team whose turn it is (team-turns.ts); with `onlyIdleTeams` only of teams without a running validation. `workerId` names any
 * process. Null if there is no such job. Skips a job that cannot be claimed; rejects with its error if there is no other.
 * Renew the lease with `heartbeatValidation`; end it with `finishValidation`, `returnValidation` or
 * `releaseValidation`.
 */
export async function claimValidation(db: Database, options: ClaimOptions): Promise<Job | null> {
  const passedOver: string[] = [];
  let fault: unknown;
  for (;;) {
    const candidates = await nextToValidate(db, options, passedOver);
    if (candidates.length === 0) {
      if (fault !== undefined) throw fault;
      return null;
    }
    for (const id of candidates) {
      passedOver.push(id);
      try {
        const claimed = await claim(db, id, options);
        if (claimed === null) continue;
        await advanceClock(db, 'validation', claimed.start);
        return claimed.job;
      } catch (error) {
        if (isDatabaseUnavailable(error) && !isRowLocked(error)) throw error;
        // A job that cannot be claimed does not delay the others.
        fault = error;
      }
    }
  }
}

interface ClaimOptions {
  workerId: string;
  leaseSeconds: number;
  id?: string;
  onlyIdleTeams?: boolean;
}

/** Null if another process has claimed the job, or it has ended. */
async function claim(
  db: Database,
  id: string,
  { workerId, leaseSeconds }: ClaimOptions,
): Promise<{ job: Job; start: number } | null> {
  return await inTransaction(db, async (tx) => {
    const [next] = await lockFreeJobs(tx, Prisma.sql`id = ${id} AND ${canBeValidated(leaseSeconds)}`);
    if (!next) return null;
    // Its holder is gone, and no sweeper has found that yet.
    if (next.leaseUntil) {
      const freed = await expireValidation(tx, next, leaseSeconds);
      if (freed?.state !== 'validating') return null;
    }
    const job = await changeJob(
      tx,
      Prisma.sql`id = ${next.id} AND state = 'validating' AND run_after <= now()`,
      Prisma.sql`lease_epoch = lease_epoch + 1, lease_token = ${newLeaseToken()},
        lease_until = now() + make_interval(secs => ${leaseSeconds}), worker_id = ${workerId}, validation_attempts = validation_attempts + 1`,
    );
    if (!job) return null;
    const start = await claimTurn(tx, job.teamId, 'validation', atWork('validation'));
    await beginAttempt(tx, job, { kind: 'validation', workerId });
    return { job, start };
  });
}

/** SQL over a row of `jobs`: it waits for validation, and no process validates it. */
const canBeValidated = (leaseSeconds: number): Prisma.Sql =>
  Prisma.sql`(jobs.state = 'validating' AND jobs.run_after <= now() AND (jobs.lease_until IS NULL OR ${hasExpired(leaseSeconds, Prisma.sql`jobs.lease_until`)}))`;

/** Maximum number of candidates per query: of one team, enough for concurrent claims by other processes, and of all teams. */
const maxPerTeam = 8;
const maxInAll = 32;

/** Returns the ids of the jobs to validate next, in the order of their turns. Another process may be about to claim some of them. */
async function nextToValidate(
  { sql }: Database,
  { id, leaseSeconds, onlyIdleTeams = false }: ClaimOptions,
  passedOver: string[],
): Promise<string[]> {
  const named = id === undefined ? Prisma.empty : Prisma.sql`AND jobs.id = ${id}`;
  const idle = onlyIdleTeams ? Prisma.sql`WHERE at_work.jobs IS NULL` : Prisma.empty;
  const { rows } = await sql.query<{ id: string }>(Prisma.sql`
    WITH at_work AS MATERIALIZED (${atWork('validation')})
    SELECT next.id FROM teams LEFT JOIN at_work ON at_work.team_id = teams.id ${teamTurns('validation')} CROSS JOIN LATERAL (
      SELECT jobs.id, jobs.created_at, row_number() OVER (ORDER BY ${rank}, jobs.id) - 1 AS before FROM jobs
      WHERE jobs.team_id = teams.id AND ${canBeValidated(leaseSeconds)} ${named} AND jobs.id <> ALL(${passedOver})
      ORDER BY ${rank}, jobs.id LIMIT ${maxPerTeam}
    ) AS next ${idle}
    ORDER BY turns.start + next.before::float8 / teams.weight,
      (coalesce(at_work.jobs, 0) + next.before)::float8 / teams.weight, next.created_at, next.id
    LIMIT ${maxInAll}`);
  return rows.map((row) => row.id);
}

/**
 * Extends the lease and publishes the progress. A validation that gets further than all earlier ones resets the count of
 * attempts. Null when fenced or cancelled: stop, and write nothing.
 */
export async function heartbeatValidation(
  { sql }: Pick<Database, 'sql'>,
  lease: Lease,
  options: { leaseSeconds: number; progress?: ValidationProgress | undefined },
): Promise<Lease | null> {
  const progress = options.progress ? JSON.stringify(options.progress) : null;
  const { rowCount } = await sql.query(
    statementWithin(
      renewalMs(options.leaseSeconds),
      Prisma.sql`UPDATE jobs SET lease_until = now() + make_interval(secs => ${options.leaseSeconds}),
       validation_attempts = CASE
         WHEN (${progress}::jsonb->>'bytes')::float8 > coalesce((validation_progress->>'furthestBytes')::float8, 0)
         THEN 1 ELSE validation_attempts END,
       validation_progress = coalesce(${progress}::jsonb || jsonb_build_object('furthestBytes', greatest(
         (${progress}::jsonb->>'bytes')::float8, (validation_progress->>'furthestBytes')::float8)), validation_progress)
     WHERE ${holds(lease, 'validating')} AND lease_until IS NOT NULL`,
    ),
  );
  return rowCount === 1 ? lease : null;
}

export type ValidationOutcome =
  | {
      ok: true;
      /** Training options with every number fixed. */
      resolvedTraining: ResolvedTraining;
      /** The same for a sweep's trials, in order; the first is `resolvedTraining`. */
      trials?: readonly ResolvedTraining[];
      /** Maximum number of tokens that the job trains on. */
      plannedTokens?: number;
      dataCounts?: DataCounts;
      /** Null or absent if the estimate failed. */
      estimate?: JobEstimate | null;
    }
  | { ok: false; error: JobError; estimate?: JobEstimate };

/**
 * validating → queued, or → failed with the reason, which may be that its tokens exceed the team's quota. Null when fenced
 * (cancelled meanwhile, or claimed by another process).
 */
export async function finishValidation(
  db: Database,
  lease: Lease,
  outcome: ValidationOutcome,
): Promise<Job | null> {
  const guard = Prisma.sql`${holds(lease, 'validating')} AND lease_until IS NOT NULL`;
  if (!outcome.ok) {
    const { error, estimate } = outcome;
    return await inTransaction(db, async (tx) => {
      if (estimate) await changeJob(tx, guard, estimateColumn(estimate));
      return await endJob(tx, guard, { state: 'failed', error });
    });
  }
  const { plannedTokens = null, estimate = null, dataCounts = null } = outcome;
  const owner = await db.db.job.findFirst({ where: { id: lease.id }, select: { teamId: true } });
  if (!owner) return null;
  const quota = await readQuota(db, owner.teamId);
  return await inQuota(db, owner.teamId, (quota?.tokensPerMonth ?? null) !== null, async (tx) => {
    if (quota && plannedTokens !== null) {
      const refusal = await refusalOf(admitTokens(tx, owner.teamId, quota, plannedTokens));
      if (refusal) return await endJob(tx, guard, { state: 'failed', error: refusal });
    }
    const { trials = [] } = outcome;
    const held = trials.length > 0 ? await lockJob(tx, guard) : null;
    if (held) await resolveTrials(tx, held, trials);
    const job = await changeJob(
      tx,
      guard,
      Prisma.sql`state = 'queued', resolved_training = ${JSON.stringify(outcome.resolvedTraining)}::jsonb,
        planned_tokens = ${plannedTokens}, data_counts = ${dataCounts && JSON.stringify(dataCounts)}::jsonb,
        ${estimateColumn(estimate)}, lease_until = NULL, worker_id = NULL, run_after = now()`,
    );
    if (!job) return null;
    await endAttempt(tx, job, 'succeeded');
    const { resolvedTraining } = outcome;
    for (const message of dataCounts ? remarksOn(dataCounts, resolvedTraining) : [])
      await insertEvent(tx, job, { level: 'warn', message, data: { ...dataCounts } });
    await insertEvent(tx, job, { message: 'Files validated, moving job to queued state' });
    return job;
  });
}

/** Returns what the owner of a job should know about its lines, in sentences. */
function remarksOn(
  { training, validation, overlap, duplicates, badLines = [], unreadColumns = [] }: DataCounts,
  options: ResolvedTraining,
): string[] {
  const all = (name: keyof ExampleCounts) => (training[name] ?? 0) + (validation?.[name] ?? 0);
  const [truncated, skipped, special] = [all('truncated'), all('skipped'), all('special_tokens')];
  const examples = (count: number) => `${count} example${count === 1 ? ' is' : 's are'}`;
  const remarks: string[] = [];
  if (truncated > 0)
    remarks.push(`${examples(truncated)} cut to max_seq_length, ${options.max_seq_length} tokens`);
  if (skipped > 0)
    remarks.push(
      `${examples(skipped)} left out: longer than max_seq_length, ${options.max_seq_length} tokens`,
    );
  const bad = all('bad_lines');
  if (bad > 0) {
    const [first] = badLines;
    const example = first ? `, such as line ${first.line} of ${first.param}, which ${first.message}` : '';
    remarks.push(`${bad} bad line${bad === 1 ? ' is' : 's are'} left out${example}`);
  }
  const unused = all('zero_weight');
  if (unused > 0) remarks.push(`${examples(unused)} left out: of weight 0`);
  if (special > 0 && !options.allow_special_tokens)
    remarks.push(
      `${special} special token${special === 1 ? '' : 's'} in the content of examples: plain text, unless training.allow_special_tokens is true`,
    );
  const remark = overlap && validation && overlapRemark(overlap, validation.examples);
  if (remark) remarks.push(remark);
  const repeated = duplicates && duplicatesRemark(duplicates, training.examples);
  if (repeated) remarks.push(repeated);
  // A mapping names the columns that are meant.
  const unread = options.columns ? null : unreadRemark(unreadColumns);
  if (unread) remarks.push(unread);
  return remarks;
}

function estimateColumn(estimate: JobEstimate | null): Prisma.Sql {
  return Prisma.sql`estimate = ${estimate && JSON.stringify(estimate)}::jsonb`;
}

async function refusalOf(admission: Promise<void>): Promise<JobError | null> {
  try {
    await admission;
    return null;
  } catch (error) {
    if (!(error instanceof QuotaExceeded)) throw error;
    const { code, message, param } = error;
    return { code, message, param, fault: 'user' };
  }
}

/** Releases a validation, lease epoch + 1 and the attempt refunded, because the process stops. Null when fenced. */
export async function releaseValidation(db: Database, lease: Lease): Promise<Job | null> {
  return await inTransaction(db, async (tx) => {
    const guard = Prisma.sql`${holds(lease, 'validating')} AND lease_until IS NOT NULL`;
    const job = await changeJob(tx, guard, Prisma.sql`${letGo}, ${refunded}`);
    if (!job) return null;
    await endAttempt(tx, job, 'released');
    await insertEvent(tx, job, { message: 'Worker is stopping, validation released' });
    return job;
  });
}

/**
 * Like `returnJob`: this process cannot validate (its base model is unavailable), and the job is not the cause. Releases the
 * validation as `releaseValidation` does, to be retried after some minutes, or → failed with `error` if that has happened too
 * often. Null when fenced.
 */
export async function returnValidation(db: Database, lease: Lease, error: JobError): Promise<Job | null> {
  return await inTransaction(db, async (tx) => {
    const guard = Prisma.sql`${holds(lease, 'validating')} AND lease_until IS NOT NULL`;
    const held = await lockJob(tx, guard);
    if (!held) return null;
    await endAttempt(tx, held, 'environment', { reason: error.message });
    const { teamId, id: jobId, workerId: worker } = held;
    const times = await tx.jobAttempt.count({
      where: { teamId, jobId, kind: 'validation', outcome: 'environment' },
    });
    if (times >= returnLimit) return await endJob(tx, guard, { state: 'failed', error });
    const minutes = returnMinutes(times);
    await insertEvent(tx, held, {
      level: 'warn',
      message: `The files cannot be validated now, trying again in ${minutes} min: ${error.message}`,
      data: { kind: 'environment', worker, step: null, seconds: minutes * 60 },
    });
    const later = Prisma.sql`run_after = now() + make_interval(mins => ${minutes})`;
    return await changeJob(tx, guard, Prisma.sql`${letGo}, ${refunded}, ${later}`);
  });
}

/** SQL: no process validates the job any more, and the former holder is fenced. */
const letGo = Prisma.sql`lease_epoch = lease_epoch + 1, lease_until = NULL, worker_id = NULL`;
/** SQL: the attempt does not count. */
const refunded = Prisma.sql`validation_attempts = greatest(validation_attempts - 1, 0)`;

/**
 * Records that the holder's own attempt broke while its process survived (its thread ran out of memory or of time); counts like a lost
 * process. The job waits for another attempt without a delay, or → failed. `isTimeout`: the clock ran out, which other work may have caused
 * once. Null when fenced.
 */
export async function breakValidation(
  db: Database,
  lease: Lease,
  { reason, leaseSeconds, isTimeout = false }: { reason: string; leaseSeconds: number; isTimeout?: boolean },
): Promise<Job | null> {
  return await inTransaction(db, async (tx) => {
    const job = await lockJob(tx, holds(lease, 'validating'));
    if (!job) return null;
    // Progress resets the count of attempts, and a slow validation makes some.
    const { teamId, id: jobId } = job;
    const earlier = { teamId, jobId, kind: 'validation', outcome: 'lost', reason };
    const limit = isTimeout ? timeoutLimit : brokenLimit;
    const times = isTimeout ? 1 + (await tx.jobAttempt.count({ where: earlier })) : job.validationAttempts;
    return await expireValidation(tx, job, leaseSeconds, { reason, limit, times });
  });
}

/** Ends the attempt of a locked job whose lease expired or, with `broken`, whose holder broke. It waits for validation again, or → failed. */
export async function expireValidation(
  tx: Transaction,
  lost: Job,
  leaseSeconds: number,
  broken?: { reason: string; limit: number; times: number },
): Promise<Job | null> {
  const reason = broken?.reason;
  const guard = holds(leaseOf(lost), 'validating');
  await endAttempt(tx, lost, 'lost', { reason: reason ?? 'The process was lost.', leaseSeconds });
  if ((broken?.times ?? lost.validationAttempts) >= (broken?.limit ?? lostLimit)) {
    const message = broken
      ? `Validation broke ${broken.limit} times without getting any further. ${reason}`
      : validatorLost.message;
    return await endJob(
      tx,
      guard,
      { state: 'failed', error: { ...validatorLost, message } },
      { fence: true },
    );
  }
  const seconds = reason ? 0 : (lostSeconds[lost.validationAttempts - 1] ?? 0);
  const worker = `Worker ${lost.workerId ?? 'of an earlier version'} lost while it validated the files`;
  await insertEvent(tx, lost, {
    level: 'warn',
    message: reason ?? (seconds > 0 ? `${worker}, trying again in ${seconds} s` : worker),
    data: { kind: 'lost', worker: lost.workerId, step: null },
  });
  if (seconds === 0) return await changeJob(tx, guard, letGo);
  return await changeJob(
    tx,
    guard,
    Prisma.sql`${letGo}, run_after = now() + make_interval(secs => ${seconds})`,
  );
}
