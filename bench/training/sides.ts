import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PeftConfig, ResolvedTraining } from '@graft/peft-core/config';
import { environmentFor } from '@graft/peft-core/precision';
import { pythonEnvironment } from '../../scripts/golden/environment/python-environment.ts';
import type { PlannedExample } from '../../scripts/golden/training-plan.ts';
import { Side } from './lock-step.ts';

export type Precision = 'fp32' | 'bf16';

/**
 * `graft`: as a job runs it. `stock`: by TensorFlow's own operations. `xla`: by those, compiled by XLA. `peft`: batches padded as by
 * the HF Trainer. `expert`: PEFT without padding.
 */
export const sideNames = ['graft', 'stock', 'xla', 'peft', 'expert'] as const;
export type SideName = (typeof sideNames)[number];

export type GraftPlan = {
  model: string;
  trainingFile: string;
  peft: PeftConfig;
  training: ResolvedTraining;
  outputDir: string;
};

export type PeftPlan = {
  model: string;
  dtype: 'float32' | 'bfloat16';
  device: 'cpu' | 'cuda';
  peft: Record<string, unknown>;
  learning_rate: number;
  steps: PlannedExample[][];
};

/** Starts a side in a process of its own, Graft's with the environment that the worker gives its trainers. */
export async function startSide(
  name: SideName,
  plans: { graft: GraftPlan; peft: PeftPlan },
  precision: Precision,
  folder: string,
): Promise<Side> {
  const file = join(folder, `${name}-plan.json`);
  if (name === 'graft' || name === 'stock' || name === 'xla') {
    await writeFile(file, JSON.stringify(plans.graft));
    const args = ['--import', 'tsx', join(import.meta.dirname, 'graft.ts'), file];
    return new Side(name, process.execPath, args, {
      TF_CPP_MIN_LOG_LEVEL: process.env.TF_CPP_MIN_LOG_LEVEL ?? '2',
      ...environmentFor(precision),
      GRAFT_KERNELS: name === 'graft' ? 'auto' : 'stock',
      GRAFT_XLA: name === 'xla' ? '1' : '',
    });
  }
  await writeFile(file, JSON.stringify({ ...plans.peft, layout: name === 'peft' ? 'padded' : 'flat' }));
  const python = await pythonEnvironment();
  // Settings that some machines make for old OpenBLAS builds slow a current one down.
  return new Side(name, python, [join(import.meta.dirname, 'hf_peft.py'), file], {
    OPENBLAS_CORETYPE: undefined,
    OPENBLAS_L2_SIZE: undefined,
  });
}
