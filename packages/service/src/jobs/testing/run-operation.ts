/** Carries out the operations of job-model.ts with the real transitions. */
import { GraftError, type ResolvedTraining } from '@graft/peft-core/config';
import type { Services } from '../../services.ts';
import { testAdapter } from '../../testing/job-fixtures.ts';
import type { Lease } from '../job.ts';
import { heartbeatJob } from '../leases/heartbeat-job.ts';
import { recordCheckpoint } from '../leases/record-checkpoint.ts';
import { claimJob } from '../transitions/claim-job.ts';
import { createJob, type NewJob } from '../transitions/create-job.ts';
import { dispatchJobs } from '../transitions/dispatch-jobs.ts';
import { sweepExpiredLeases } from '../transitions/expiry/sweep-expired-leases.ts';
import { failJob } from '../transitions/fail-job.ts';
import { publishAdapterVersion } from '../transitions/publish-adapter-version.ts';
import { cancelRunningJob, pauseRunningJob, releaseJob } from '../transitions/stop-running-job.ts';
import { cancelJob, pauseJob, resumeJob } from '../transitions/user-requests.ts';
import {
  claimValidation,
  finishValidation,
  heartbeatValidation,
  releaseValidation,
} from '../transitions/validate-job.ts';
import type { Answer, ModelJob, Operation } from './job-model.ts';

/** The job that operations act on, in a database without other unfinished jobs. */
export interface Subject {
  services: Services;
  teamId: string;
  jobId: string;
  /** The request that created it, with its idempotency key. */
  request: NewJob;
}

/** Far longer than one moment of a story takes; between moments `holdTime` renews it. */
export const leaseSeconds = 10;
const workerId = 'worker-model';
const resolvedTraining = { n_epochs: 3 } as ResolvedTraining;

export async function runOperation(subject: Subject, operation: Operation): Promise<Answer> {
  const { services, teamId, jobId } = subject;
  const lease = await readLease(subject, 'lease' in operation ? operation.lease : -1);
  const by = { keyId: 'key-test' };
  switch (operation.type) {
    case 'create again': {
      const { job, created } = await createJob(services, teamId, subject.request);
      return job.id === jobId && !created ? 'done' : 'refused';
    }
    case 'claim validation':
      return found(await claimValidation(services, { workerId, leaseSeconds }));
    case 'heartbeat validation': {
      const progress = { bytes: operation.bytes, totalBytes: 100, examples: operation.bytes };
      return held(await heartbeatValidation(services, lease, { leaseSeconds, progress }));
    }
    case 'finish validation': {
      const error = {
        code: 'bad_data',
        message: 'Bad data.',
        param: 'training_file',
        fault: 'user' as const,
      };
      const outcome = operation.ok ? { ok: true as const, resolvedTraining } : { ok: false as const, error };
      return held(await finishValidation(services, lease, outcome));
    }
    case 'release validation':
      return held(await releaseValidation(services, lease));
    case 'dispatch':
      return found((await dispatchJobs(services))[0] ?? null);
    case 'claim':
      return held(await claimJob(services, lease, { workerId, leaseSeconds }));
    case 'heartbeat':
      return held(await heartbeatJob(services, lease, { leaseSeconds }));
    case 'checkpoint': {
      const { step } = operation;
      return held(
        await recordCheckpoint(services, lease, {
          step,
          metrics: {},
          path: `${step}`,
          bytes: 1,
          digest: 'd',
          seconds: 1,
          series: [],
        }),
      );
    }
    case 'publish':
      return held(await publishAdapterVersion(services, lease, testAdapter));
    case 'fail': {
      const { fault } = operation;
      return held(await failJob(services, lease, { code: 'fault', message: fault, param: null, fault }));
    }
    case 'release':
      return held(await releaseJob(services, lease));
    case 'release late':
      return held(await releaseJob(services, lease, { reason: 'late', isLate: true }));
    case 'stop paused':
      return held(await pauseRunningJob(services, lease));
    case 'stop cancelled':
      return held(await cancelRunningJob(services, lease));
    case 'cancel':
      return await asked(cancelJob(services, teamId, jobId, by));
    case 'pause':
      return await asked(pauseJob(services, teamId, jobId, by));
    case 'resume':
      return await asked(resumeJob(services, teamId, jobId, by));
    case 'sweep':
      return found((await sweepExpiredLeases(services, { leaseSeconds: 0 }))[0] ?? null);
    case 'lease runs out':
      await services.sql.query(
        "UPDATE jobs SET lease_until = now() - interval '1 second' WHERE id = $1 AND finished_at IS NULL AND lease_until IS NOT NULL",
        [jobId],
      );
      return 'done';
    case 'backoff passes':
      await services.sql.query(
        'UPDATE jobs SET run_after = now() WHERE id = $1 AND finished_at IS NULL AND run_after > now()',
        [jobId],
      );
      return 'done';
  }
}

/** Returns the lease of this epoch as its holder knows it. */
async function readLease({ services, teamId, jobId }: Subject, epoch: number): Promise<Lease> {
  const job = await services.db.job.findFirst({ where: { teamId, id: jobId, leaseEpoch: epoch } });
  return { id: jobId, epoch, token: job?.leaseToken ?? null };
}

const held = (result: unknown): Answer => (result ? 'done' : 'fenced');
const found = (result: unknown): Answer => (result ? 'done' : 'nothing');

async function asked(request: Promise<unknown>): Promise<Answer> {
  try {
    return (await request) ? 'done' : 'nothing';
  } catch (error) {
    if (error instanceof GraftError && error.code === 'invalid_job_state') return 'refused';
    throw error;
  }
}

/** Renews leases and backoffs, so that they run out only when an operation says so, not because the machine is slow. */
export async function holdTime({ services, jobId }: Subject): Promise<void> {
  await services.sql.query(
    `UPDATE jobs SET
       lease_until = CASE WHEN lease_until > now() THEN now() + interval '1 hour' ELSE lease_until END,
       run_after = CASE WHEN run_after > now() THEN now() + interval '1 hour' ELSE run_after END
     WHERE id = $1 AND finished_at IS NULL AND (lease_until > now() OR run_after > now())`,
    [jobId],
  );
}

/** Reads the job's row in the terms of the model, without `fromStep`, which belongs to the attempt. */
export async function readModelJob({ services, jobId }: Subject): Promise<Omit<ModelJob, 'fromStep'>> {
  const { rows } = await services.sql.query<Omit<ModelJob, 'fromStep'>>(
    `SELECT state, lease_epoch AS epoch, run_after <= now() AS due,
       CASE WHEN lease_until IS NULL THEN 'none' WHEN lease_until < now() THEN 'expired' ELSE 'held' END AS lease,
       cancel_requested_at IS NOT NULL AS "cancelAsked", pause_requested_at IS NOT NULL AS "pauseAsked", attempts,
       attempts_since_checkpoint AS "attemptsSinceCheckpoint", validation_attempts AS "validationAttempts",
       coalesce((validation_progress->>'furthestBytes')::int, 0) AS "furthestBytes",
       last_checkpoint_step AS checkpoint, environment_faults AS "environmentFaults",
       (SELECT count(*)::int FROM adapter_versions WHERE job_id = jobs.id) AS versions
     FROM jobs WHERE id = $1`,
    [jobId],
  );
  return rows[0]!;
}
