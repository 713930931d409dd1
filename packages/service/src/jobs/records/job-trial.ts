import type { PeftConfig, ResolvedTraining, SweepTrial, TrainingOptions } from '@graft/peft-core/config';
import { type Database, json, type Transaction } from '../../database/database.ts';
import type { JobTrial as TrialRow } from '../../generated/client.ts';
import type { Lease } from '../job.ts';
import { underLease } from '../leases/write-under-lease.ts';

/** How far a trial of a sweep has come. */
export interface TrialState {
  /** From 1. */
  trial: number;
  /** `waiting`: it may go on; `stopped`: others continued, which were better or, at the end, the first of equal ones; `diverged`: its loss was not a number. */
  status: 'waiting' | 'running' | 'stopped' | 'diverged' | 'won';
  /** Its own optimizer steps done. */
  step: number;
  /** Validation losses where it was compared with others; null: not a number. `value`: of metric_for_best_model, if that is no loss. */
  rungs: { step: number; loss: number | null; value?: number | null }[];
}

export interface JobTrial extends TrialState {
  peft: PeftConfig;
  /** As requested. */
  training: TrainingOptions;
  /** Null until the data were validated. */
  resolvedTraining: ResolvedTraining | null;
}

/** Of a job's sweep, in order; none of a job without. */
export async function listTrials(
  { db }: Pick<Database, 'db'>,
  teamId: string,
  jobId: string,
): Promise<JobTrial[]> {
  const rows = await db.jobTrial.findMany({ where: { teamId, jobId }, orderBy: { trial: 'asc' } });
  return rows.map(trialOf);
}

function trialOf({ teamId: _team, jobId: _job, ...columns }: TrialRow): JobTrial {
  return columns as unknown as JobTrial;
}

/** With the job that is made in the same transaction. */
export async function insertTrials(
  tx: Transaction,
  job: { id: string; teamId: string },
  trials: readonly SweepTrial[],
): Promise<void> {
  if (trials.length === 0) return;
  await tx.jobTrial.createMany({
    data: trials.map(({ peft, training }, i) => ({
      ...{ teamId: job.teamId, jobId: job.id, trial: i + 1 },
      ...{ peft: json(peft), training: json(training) },
    })),
  });
}

/** Every number fixed, of all trials in order. */
export async function resolveTrials(
  tx: Transaction,
  job: { id: string; teamId: string },
  resolved: readonly ResolvedTraining[],
): Promise<void> {
  for (const [i, training] of resolved.entries())
    await tx.jobTrial.updateMany({
      where: { teamId: job.teamId, jobId: job.id, trial: i + 1 },
      data: { resolvedTraining: json(training) },
    });
}

/** Replaces what is told of all trials of a running job. False: fenced. */
export async function recordTrials(
  db: Database,
  lease: Lease,
  trials: readonly TrialState[],
): Promise<boolean> {
  return await underLease(db, lease, ['running'], async (tx, job) => {
    for (const { trial, status, step, rungs } of trials)
      await tx.jobTrial.updateMany({
        where: { teamId: job.teamId, jobId: job.id, trial },
        data: { status, step, rungs: json(rungs) },
      });
  });
}
