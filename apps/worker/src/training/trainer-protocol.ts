/**
 * Messages between the worker and its trainer: a child process that computes one job at a time and knows nothing of
 * Postgres, queues or teams.
 */
import type { AdapterVerification, Requirements, TrainRecord } from '@graft/peft-core';
import type { CheckpointCandidate } from '@graft/peft-core/checkpoints';
import type { PeftConfig, ResolvedTraining, SweepTrial } from '@graft/peft-core/config';
import type { Precision } from '../devices.ts';

/** One job, as plain data. All paths are absolute. */
export interface TrainingRequest {
  /** Folder or file of the base model. */
  basePath: string;
  /** Folder where its digest is kept: a large model is hashed once, not in every process. */
  digestCache: string;
  /** Its catalogue id, as adapter_config.json will name it. */
  baseModelName: string;
  trainingFile: string;
  validationFile: string | null;
  peft: PeftConfig;
  /** `precision` is what the trainer's process is started in. */
  training: ResolvedTraining & { precision: Precision };
  /** Of a sweep, which tries these; the first of them is `peft` and `training`. */
  trials: SweepTrial<ResolvedTraining>[] | null;
  /** What the job's numbers depend on besides: the same in all its attempts. */
  requirements: Requirements;
  /** Folder of the adapter that training goes on from, and its digest; null: fresh values. */
  initialAdapter: string | null;
  initialName: string | null;
  outputDir: string;
  /** Where it puts the adapters of steps along the way; none without it. */
  snapshotDir?: string;
  /** Where this attempt writes its own, and what it may go on from, newest first. */
  checkpoints: { dir: string; candidates: CheckpointCandidate[] };
}

/** A finished job's files, which are loaded like any adapter and measured on the same data as the live model. */
export type VerificationRequest = Omit<
  TrainingRequest,
  'trials' | 'outputDir' | 'snapshotDir' | 'checkpoints'
> & {
  adapterDir: string;
};

export interface TrainerMessages {
  call:
    | { type: 'train'; request: TrainingRequest }
    /** Answered by a `verification`, then `finished`; or `failed`. */
    | { type: 'verify'; request: VerificationRequest }
    /** Computes something whose result is known: answered by `kernels` and `finished`, or `failed`. With `measure` by a `speed` before. */
    | { type: 'prove'; precision: Precision; measure: boolean };
  event:
    | { type: 'record'; record: TrainRecord }
    | { type: 'verification'; verification: AdapterVerification }
    /** What its process can make layers of, best first. */
    | { type: 'kernels'; sets: readonly string[] }
    /** Floating-point operations in a second of matrix products in the precision that was proved. */
    | { type: 'speed'; flops: number };
  /** `stopped`: the last record before it tells of the checkpoint. */
  result: { type: 'finished' } | { type: 'stopped' };
}
