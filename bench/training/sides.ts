import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { measureSpeed } from '@graft/peft-core';
import type { PeftConfig, ResolvedTraining } from '@graft/peft-core/config';
import { environmentFor } from '@graft/peft-core/precision';
import { pythonEnvironment } from '../../scripts/golden/environment/python-environment.ts';
import { withParent } from '../../scripts/golden/environment/run-python.ts';
import type { PlannedExample } from '../../scripts/golden/training-plan.ts';
import { Side } from './lock-step.ts';

export type Precision = 'fp32' | 'bf16';

/**
 * `graft`: as a job runs it. `stock`: by TensorFlow's own operations. `xla`: by those, compiled by XLA. `peft`: batches padded as by
 * the HF Trainer. `expert`: PEFT without padding, for causal models. `qlora`: PEFT on a base that bitsandbytes holds in nf4. `wall`: a
 * step's matrix products alone.
 */
export const sideNames = ['graft', 'stock', 'xla', 'peft', 'expert', 'qlora', 'wall'] as const;
export type SideName = (typeof sideNames)[number];

/** What runs Graft's sides. */
const entries = {
  graft: new URL('graft.ts', import.meta.url),
  wall: new URL('wall.ts', import.meta.url),
};

export type GraftPlan = {
  model: string;
  trainingFile: string;
  peft: PeftConfig;
  training: ResolvedTraining;
  outputDir: string;
  sharesBeginnings: boolean;
};

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

/** What all kinds of sides train, the same batches in the same order, and the useful tokens of each step. */
export interface Plans {
  graft: GraftPlan;
  peft: PeftPlan;
  wall: WallPlan;
  tokens: number[];
}

/** Starts a side in a separate process, Graft's with the environment that the worker gives its trainers. */
export async function startSide(
  name: SideName,
  plans: Pick<Plans, 'graft' | 'peft' | 'wall'>,
  precision: Precision,
  folder: string,
): Promise<Side> {
  const file = join(folder, `${name}-plan.json`);
  if (name === 'peft' || name === 'expert' || name === 'qlora') {
    const layout = name === 'expert' ? 'flat' : 'padded';
    await writeFile(file, JSON.stringify({ ...plans.peft, layout, nf4: name === 'qlora' }));
    const python = await pythonEnvironment(undefined, name === 'qlora' ? 'quantised' : 'peft');
    // Settings that some machines make for old OpenBLAS builds slow a current one down.
    return new Side(name, python, withParent(join(import.meta.dirname, 'hf_peft.py'), file), {
      PYTHONWARNINGS: 'ignore',
      OPENBLAS_CORETYPE: undefined,
      OPENBLAS_L2_SIZE: undefined,
    });
  }
  const kind = name === 'wall' ? 'wall' : 'graft';
  await writeFile(file, JSON.stringify(plans[kind]));
  const args = [...process.execArgv, fileURLToPath(entries[kind]), file];
  return new Side(name, process.execPath, args, {
    TF_CPP_MIN_LOG_LEVEL: process.env.TF_CPP_MIN_LOG_LEVEL ?? '2',
    ...environmentFor(precision),
    GRAFT_KERNELS: name === 'stock' || name === 'xla' ? name : 'auto',
  });
}
