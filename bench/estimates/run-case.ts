import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parsePeftConfig, parseTrainingOptions, resolveTraining } from '@graft/peft-core/config';
import { estimateTraining, sampleExamples, type TrainingEstimate } from '@graft/peft-core/estimate';
import { openBaseModel } from '@graft/peft-core/files';
import { environmentFor, threadCount } from '@graft/peft-core/precision';
import { loadTokenizer } from '@graft/peft-core/text';
import { runTypeScript } from '../../bench/run-for-result.ts';
import type { Case } from './cases.ts';
import { writeData } from './data.ts';

import { modelPath } from './models.ts';
import type { Measured, Plan } from './plan.ts';

/** Steps of a training. */
const steps = 4;

/** What is trained, made in `folder` where it is not there yet. */
async function planOf(each: Case, folder: string): Promise<Plan & { lines: number }> {
  await mkdir(folder, { recursive: true });
  const { file: trainingFile, lines } = await writeData(each.data, folder);
  const peft = parsePeftConfig(each.peft);
  const options = parseTrainingOptions({ precision: 'fp32', max_steps: steps, seed: 42, ...each.training });
  const training = resolveTraining({ peft, training: options, exampleCount: lines });
  const precision = training.precision === 'bf16' ? 'bf16' : 'fp32';
  const model = await modelPath(each.model, folder);
  return { model, trainingFile, peft, training, precision, outputDir: path.join(folder, 'adapter'), lines };
}

/** Trains once, in a separate process. */
export async function measureCase(each: Case, folder: string): Promise<Measured> {
  const { lines: _, ...plan } = await planOf(each, folder);
  const file = path.join(folder, 'plan.json');
  await writeFile(file, JSON.stringify(plan));
  const script = path.join(import.meta.dirname, 'graft.ts');
  const measured = await runTypeScript<Measured>(script, [file], environmentFor(plan.precision), 'inherit');
  await rm(plan.outputDir, { recursive: true });
  return measured;
}

/** Estimates the same, by the speed that was measured meanwhile. */
export async function estimateCase(
  each: Case,
  { flops: speeds }: Measured,
  folder: string,
): Promise<TrainingEstimate> {
  const { model, trainingFile, peft, training, precision, lines } = await planOf(each, folder);
  const base = await openBaseModel(model);
  try {
    const data = await sampleExamples({
      trainingFile,
      peft,
      training,
      modelConfig: base.config,
      tokenizer: loadTokenizer(base.tokenizerFiles),
      counts: { training_file: [lines], validation_file: [] },
    });
    // What else the machine does for a moment can only make one slower.
    const flops = Math.max(...speeds);
    const machine = { device: 'cpu', kernels: true, precision, threads: threadCount(), flops } as const;
    return estimateTraining({ modelConfig: base.config, peft, training, data }, machine);
  } finally {
    await base.close();
  }
}
