/** The history of a job's attempts: which worker ran each, from when to when, how far it got, and how it ended. */
import { MAX_MESSAGE, shortened } from '@graft/peft-core/config';
import type { Transaction } from '../../database/database.ts';
import { Prisma } from '../../generated/client.ts';
import { instruments } from '../../observe/instruments.ts';
import { enterDeviceSeconds } from '../../usage/record-usage.ts';
import type { AttemptKind, AttemptOutcome, Job } from '../job.ts';
import { insertEvent } from '../records/job-event.ts';
import { chargeAttempt } from '../turns/team-turns.ts';

/** Records that the worker starts, under the current epoch of `job`; adds an event if the attempt before was lost. */
export async function beginAttempt(
  tx: Transaction,
  job: Job,
  { kind, workerId }: { kind: AttemptKind; workerId: string },
): Promise<void> {
  const { id: jobId, teamId, leaseEpoch } = job;
  const step = job.lastCheckpointStep ?? 0;
  const [before] = await tx.$queryRaw<{ workerId: string; outcome: AttemptOutcome; seconds: number }[]>`
    SELECT worker_id AS "workerId", outcome, extract(epoch FROM now() - ended_at)::float8 AS seconds FROM job_attempts
    WHERE team_id = ${teamId} AND job_id = ${jobId} AND kind = ${kind} AND ended_at IS NOT NULL
    ORDER BY lease_epoch DESC LIMIT 1`;
  await tx.jobAttempt.create({
    data: { teamId, jobId, leaseEpoch, kind, workerId, fromStep: kind === 'training' ? step : null },
    select: { leaseEpoch: true },
  });
  if (before?.outcome !== 'lost') return;
  const seconds = Math.max(0, Math.round(before.seconds));
  // Counted before the commit: a commit that fails, which is rare, makes the count too high by one.
  instruments.recoveries.inc();
  instruments.recoverySeconds.observe(Math.max(0, before.seconds));
  const goesOn =
    kind === 'validation'
      ? 'validation restarted'
      : step > 0
        ? `resumed from step ${step.toLocaleString('en-US')}`
        : 'restarted';
  await insertEvent(tx, job, {
    message: `Worker ${before.workerId} lost, ${goesOn} after ${seconds} s`,
    data: { kind: 'recovery', worker: before.workerId, step: kind === 'training' ? step : null, seconds },
  });
}

/**
 * Ends the job's current attempt, if there is one, records how long it held the device, and charges its team for that time. A lost
 * attempt ended with its last sign of life, `leaseSeconds` before its lease ran out: call this while the row still has that
 * lease.
 */
export async function endAttempt(
  tx: Transaction,
  job: Pick<Job, 'id' | 'teamId'>,
  outcome: AttemptOutcome,
  { reason = null, leaseSeconds }: { reason?: string | null; leaseSeconds?: number } = {},
): Promise<void> {
  const endedAt =
    leaseSeconds === undefined
      ? Prisma.sql`now()`
      : Prisma.sql`greatest(job_attempts.started_at, jobs.lease_until - make_interval(secs => ${leaseSeconds}))`;
  const ended = await tx.$queryRaw<{ kind: AttemptKind; leaseEpoch: number }[]>`
    UPDATE job_attempts SET outcome = ${outcome}, reason = ${reason && shortened(reason, MAX_MESSAGE)}, ended_at = ${endedAt},
      last_step = CASE WHEN kind = 'training' THEN coalesce((jobs.progress->>'step')::int, from_step) END
    FROM jobs
    WHERE jobs.team_id = ${job.teamId} AND jobs.id = ${job.id} AND job_attempts.team_id = jobs.team_id
      AND job_attempts.job_id = jobs.id AND ended_at IS NULL
    RETURNING kind, job_attempts.lease_epoch AS "leaseEpoch"`;
  for (const attempt of ended) {
    await enterDeviceSeconds(tx, job, attempt.leaseEpoch);
    await chargeAttempt(tx, job, attempt);
  }
}
