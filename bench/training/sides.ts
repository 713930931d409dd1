import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PeftConfig, ResolvedTraining } from '@graft/peft-core/config';
import { environmentFor } from '@graft/peft-core/precision';
import { pythonEnvironment } from '../../scripts/golden/environment.ts';
import type { PlannedExample } from '../../scripts/golden/training-plan.ts';

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
  const script = join(import.meta.dirname, 'graft.ts');
  return run(process.execPath, ['--import', 'tsx', script, file], {
    TF_CPP_MIN_LOG_LEVEL: '2',
    ...environmentFor(precision),
  });
}

/** Trains once with PyTorch + HF PEFT, in a process of its own. */
export async function runPeft(plan: PeftPlan, folder: string): Promise<SideResult> {
  const file = join(folder, 'peft-plan.json');
  await writeFile(file, JSON.stringify(plan));
  const python = await pythonEnvironment();
  // Settings that some machines make for old OpenBLAS builds slow a current one down.
  return run(python, [join(import.meta.dirname, 'hf_peft.py'), file], {
    OPENBLAS_CORETYPE: undefined,
    OPENBLAS_L2_SIZE: undefined,
  });
}

async function run(
  command: string,
  args: string[],
  env: Record<string, string | undefined>,
): Promise<SideResult> {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} failed (${code})`);
  return JSON.parse(output.trim().split('\n').at(-1) ?? '');
}
