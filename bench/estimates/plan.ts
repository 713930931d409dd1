import type { PeftConfig, ResolvedTraining } from '@graft/peft-core/config';

/** The input of a graft.ts process. */
export interface Plan {
  model: string;
  trainingFile: string;
  peft: PeftConfig;
  training: ResolvedTraining;
  precision: 'fp32' | 'bf16';
  outputDir: string;
}

/** What it measured. */
export interface Measured {
  trainableParameters: number;
  peakBytes: number;
  tokens: number;
  /** Of the whole training, the measurements of speed left out. */
  seconds: number;
  /** Of each step. */
  stepSeconds: number[];
  /** Of matrix products, measured before, between and after the steps: the machine's speed changes. */
  flops: number[];
}

/** What one-step.ts measured. */
export interface LongStep {
  tokens: number;
  peakBytes: number;
  estimatedBytes: number;
  seconds: number;
}
