import { join } from 'node:path';
import type { measureSpeed, TrainOptions } from '@graft/peft-core';
import { environmentFor } from '@graft/peft-core/precision';
import type { PlannedExample } from '../../scripts/golden/training-plan.ts';
import { python, Side, typeScript } from '../../scripts/measuring/processes.ts';

export const precisions = ['fp32', 'bf16'] as const;
export type Precision = (typeof precisions)[number];

/**
 * `graft`: as a job runs it. `stock`: by TensorFlow's own operations. `xla`: by those, compiled by XLA. `peft`: batches padded as by
 * the HF Trainer. `expert`: PEFT without padding, for causal models. `qlora`: PEFT on a base that bitsandbytes holds in nf4. `wall`: a
 * step's matrix products alone.
 */
export const sideNames = ['graft', 'stock', 'xla', 'peft', 'expert', 'qlora', 'wall'] as const;
export type SideName = (typeof sideNames)[number];

export interface GraftPlan
  extends Pick<TrainOptions, 'trainingFile' | 'peft' | 'training' | 'method' | 'outputDir'>,
    Pick<TrainOptions, 'sharesBeginnings' | 'initialParameters'> {
  model: string;
  /** The reference pass over all data is the first step. */
  hasReference?: boolean;
}

export type PeftPlan = {
  model: string;
  dtype: 'float32' | 'bfloat16';
  device: 'cpu' | 'cuda';
  peft: Record<string, unknown>;
  learning_rate: number;
  /** Classes of a classifier. */
  labels: number | null;
  /** Blocks are computed again for their gradients. */
  checkpointed: boolean;
  steps: PlannedExample[][];
};

export type WallPlan = {
  precision: Precision;
  /** Operations of a step's products, and the shape of a large one. */
  flops: number;
  shape: NonNullable<Parameters<typeof measureSpeed>[1]>;
};

/** Plans of all kinds of sides, with the same batches in the same order, and the useful tokens of each step. */
export interface Plans {
  graft: GraftPlan;
  peft: PeftPlan;
  wall: WallPlan;
  tokens: number[];
}

/** Starts a side of Graft, with the environment that the worker gives its trainers. */
export const startGraft = (name: string, plan: GraftPlan, precision: Precision, kernels = 'auto'): Side =>
  new Side(name, graft('graft.ts', precision, kernels), plan);

const graft = (file: string, precision: Precision, kernels: string) =>
  typeScript(join(import.meta.dirname, file), { ...environmentFor(precision), GRAFT_KERNELS: kernels });

/** Starts a side in a separate process. */
export async function startSide(
  name: SideName,
  plans: Pick<Plans, 'graft' | 'peft' | 'wall'>,
  precision: Precision,
): Promise<Side> {
  if (name === 'wall') return new Side(name, graft('wall.ts', precision, 'auto'), plans.wall);
  if (name !== 'peft' && name !== 'expert' && name !== 'qlora')
    return startGraft(name, plans.graft, precision, name === 'graft' ? 'auto' : name);
  const nf4 = name === 'qlora';
  const program = await python(join(import.meta.dirname, 'hf_peft.py'), nf4 ? 'quantised' : 'peft');
  return new Side(name, program, { ...plans.peft, layout: name === 'expert' ? 'flat' : 'padded', nf4 });
}
