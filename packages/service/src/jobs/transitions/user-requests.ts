/** Requests of users for a job: cancel, pause, resume, or another priority. */

import { GraftError } from '@graft/peft-core/config';
import { type Priority, priorities } from '@graft/wire/lists';
import type { Actor } from '../../audit/actor.ts';
import { insertAudit } from '../../audit/insert-audit.ts';
import type { Database, Transaction } from '../../database/database.ts';
import { inRowTransaction } from '../../database/in-transaction.ts';
import { Prisma } from '../../generated/client.ts';
import { enqueueOutboxEvent } from '../../webhooks/enqueue-outbox-event.ts';
import { isTerminal, type Job, type JobState, leaseOf, wireStatus } from '../job.ts';
import { insertEvent } from '../records/job-event.ts';
import { changeJob, holds, lockJob } from './change-job.ts';
import { endJob } from './end-job.ts';

/**
 * Null if the team has no such job. Throws GraftError `invalid_job_state` if the job's state forbids the request, and an error that
 * `isRowLocked` recognises if another transaction holds the job for two seconds.
 */
type UserRequest = (db: Database, teamId: string, id: string, by: Actor) => Promise<Job | null>;

/**
 * validating, queued, dispatched, paused → cancelled immediately, lease epoch + 1. A running job only records the request
 * (`cancelRequestedAt`), and its worker stops it within two seconds. Repeating the request changes nothing.
 */
export const cancelJob = request('cancel', {
  allows: (job) => !isTerminal(job.state),
  act: async (tx, job, guard) => {
    if (job.state !== 'running') return await endJob(tx, guard, { state: 'cancelled' }, { fence: true });
    return await changeJob(tx, guard, Prisma.sql`cancel_requested_at = coalesce(cancel_requested_at, now())`);
  },
});

/**
 * queued, dispatched → paused immediately, lease epoch + 1. A running job only records the request (`pauseRequestedAt`), and
 * its worker checkpoints and pauses it.
 */
export const pauseJob = request('pause', {
  allows: ({ state }) => state === 'queued' || state === 'dispatched' || state === 'running',
  act: async (tx, job, guard) => {
    if (job.state === 'running') {
      return await changeJob(tx, guard, Prisma.sql`pause_requested_at = coalesce(pause_requested_at, now())`);
    }
    const paused = Prisma.sql`state = 'paused', lease_epoch = lease_epoch + 1, lease_until = NULL`;
    const after = await changeJob(tx, guard, paused);
    await insertEvent(tx, job, { message: 'Fine-tuning job paused' });
    await enqueueOutboxEvent(tx, job, 'fine_tuning.job.paused');
    return after;
  },
});

/** paused → queued. A running job whose requested pause has not happened yet keeps running. */
export const resumeJob = request('resume', {
  allows: (job) => job.state === 'paused' || (job.state === 'running' && job.pauseRequestedAt !== null),
  act: async (tx, job, guard) => {
    if (job.state === 'running') return await changeJob(tx, guard, Prisma.sql`pause_requested_at = NULL`);
    const queued = Prisma.sql`state = 'queued', pause_requested_at = NULL, run_after = now()`;
    const after = await changeJob(tx, guard, queued);
    await insertEvent(tx, job, { message: 'Fine-tuning job resumed, moving job to queued state' });
    return after;
  },
});

/** Changes the priority of a job that has not ended; a running job uses it when it is queued again. */
export async function setJobPriority(
  db: Database,
  teamId: string,
  id: string,
  priority: Priority,
  by: Actor,
): Promise<Job | null> {
  const change = request('change its priority', {
    action: 'priority',
    detail: { priority },
    allows: (job) => !isTerminal(job.state),
    act: async (tx, _job, guard) =>
      await changeJob(tx, guard, Prisma.sql`priority = ${priorities[priority]}`),
  });
  return await change(db, teamId, id, by);
}

function request(
  verb: string,
  {
    action = verb,
    detail,
    allows,
    act,
  }: { action?: string; detail?: Record<string, string>; allows(job: Job): boolean; act: Action },
): UserRequest {
  return async (db, teamId, id, by) =>
    await inRowTransaction(db, `job ${teamId} ${id}`, async (tx) => {
      const job = await lockJob(tx, Prisma.sql`team_id = ${teamId} AND id = ${id}`, { noWait: true });
      if (!job) return null;
      if (!allows(job)) throw invalidState(verb, job.state);
      await insertAudit(tx, teamId, by, {
        action: `job.${action}`,
        target: id,
        ...(detail ? { detail } : {}),
      });
      return await act(tx, job, holds(leaseOf(job), job.state));
    });
}

/** Changes the locked job, whose state allows the request. */
type Action = (tx: Transaction, job: Job, guard: Prisma.Sql) => Promise<Job | null>;

/** 400, not 409: clients retry a 409. */
function invalidState(verb: string, state: JobState): GraftError {
  return new GraftError('invalid_job_state', `A job in state ${wireStatus(state)} cannot ${verb}.`, {
    param: null,
  });
}
