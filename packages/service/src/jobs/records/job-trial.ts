import type { PeftConfig, ResolvedTraining, SweepTrial, TrainingOptions } from '@graft/peft-core/config';
import { type Database, json, type Transaction } from '../../database/database.ts';
import type { JobTrial as TrialRow } from '../../generated/client.ts';
import type { Lease } from '../job.ts';
import { underLease } from '../leases/write-under-lease.ts';

export interface TrialState {
  /** From 1. */
  trial: number;
  /** `waiting`: may continue. `stopped`: others were better, or equal and earlier at the end. `diverged`: its loss was not a number. */
  status: 'waiting' | 'running' | 'stopped' | 'diverged' | 'won';
  /** The trial's own optimizer steps done. */
  step: number;
  /** Validation losses at the comparisons with other trials; null: not a number. `value`: metric_for_best_model, if that is no loss. */
  rungs: { step: number; loss: number | null; value?: number | null }[];
}

export interface JobTrial extends TrialState {
  peft: PeftConfig;
  /** Training options as requested. */
  training: TrainingOptions;
  /** Null until the data are validated. */
  resolvedTraining: ResolvedTraining | null;
}

/** Returns the trials of a job's sweep in order; an empty list for a job without a sweep. */
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

/** Inserts the trials in the transaction that creates the job. */
export async function insertTrials(
  tx: Transaction,
  job: { id: string; teamId: string },
  trials: readonly SweepTrial[],
): Promise<void> {
  if (trials.length === 0) return;
  await tx.jobTrial.createMany({
    data: trials.map(({ peft, training }, i) => ({
      teamId: job.teamId,
      jobId: job.id,
      trial: i + 1,
      peft: json(peft),
      training: json(training),
    })),
  });
}

/** Stores the training options with every number fixed, for all trials in order. */
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

/** Replaces the state of all trials of a running job. False when fenced. */
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
