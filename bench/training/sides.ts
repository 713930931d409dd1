import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PeftConfig, ResolvedTraining } from '@graft/peft-core/config';
import { environmentFor } from '@graft/peft-core/precision';
import { pythonEnvironment } from '../../scripts/golden/environment/python-environment.ts';
import type { PlannedExample } from '../../scripts/golden/training-plan.ts';
import { runForResult, runTypeScript } from '../run-for-result.ts';

export type Precision = 'fp32' | 'bf16';

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
  peft: Record<string, unknown>;
  learning_rate: number;
  steps: PlannedExample[][];
};

/** What one side measured of itself. */
export type SideResult = { seconds: number[]; losses: number[]; max_rss_bytes: number };

/** Trains once with Graft, in a process of its own with the environment that the worker gives its trainers. */
export async function runGraft(plan: GraftPlan, precision: Precision, folder: string): Promise<SideResult> {
  const file = join(folder, 'graft-plan.json');
  await writeFile(file, JSON.stringify(plan));
  return runTypeScript(join(import.meta.dirname, 'graft.ts'), [file], environmentFor(precision));
}

/** Trains once with PyTorch + HF PEFT, in a process of its own. */
export async function runPeft(plan: PeftPlan, folder: string): Promise<SideResult> {
  const file = join(folder, 'peft-plan.json');
  await writeFile(file, JSON.stringify(plan));
  const python = await pythonEnvironment();
  // Settings that some machines make for old OpenBLAS builds slow a current one down.
  return runForResult(python, [join(import.meta.dirname, 'hf_peft.py'), file], {
    OPENBLAS_CORETYPE: undefined,
    OPENBLAS_L2_SIZE: undefined,
  });
}
