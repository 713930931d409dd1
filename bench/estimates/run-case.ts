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

export interface Compared {
  estimate: TrainingEstimate;
  measured: Measured;
  /** Median of those measured. */
  flops: number;
}

/** Steps of a training. */
const steps = 12;

/** Trains once, and estimates the same by the speed that was measured meanwhile. `folder` keeps models and data. */
export async function runCase(each: Case, folder: string): Promise<Compared> {
  await mkdir(folder, { recursive: true });
  const model = await modelPath(each.model, folder);
  const { file: trainingFile, lines } = await writeData(each.data, folder);
  const peft = parsePeftConfig(each.peft);
  const options = parseTrainingOptions({ precision: 'fp32', max_steps: steps, seed: 42, ...each.training });
  const training = resolveTraining({ peft, training: options, exampleCount: lines });
  const precision = training.precision === 'bf16' ? 'bf16' : 'fp32';

  const plan: Plan = {
    model,
    trainingFile,
    peft,
    training,
    precision,
    outputDir: path.join(folder, 'adapter'),
  };
  const file = path.join(folder, 'plan.json');
  await writeFile(file, JSON.stringify(plan));
  const script = path.join(import.meta.dirname, 'measure.ts');
  const measured = await runTypeScript<Measured>(script, [file], environmentFor(precision), 'inherit');
  await rm(plan.outputDir, { recursive: true });

  const base = await openBaseModel(model);
  try {
    const data = await sampleExamples({
      ...{ trainingFile, peft, training, modelConfig: base.config },
      tokenizer: loadTokenizer(base.tokenizerFiles),
      counts: { training_file: lines, validation_file: null },
    });
    const flops = medianOf(measured.flops);
    const machine = { device: 'cpu', precision, threads: threadCount(), flops } as const;
    const estimate = estimateTraining({ modelConfig: base.config, peft, training, data }, machine);
    return { estimate, measured, flops };
  } finally {
    await base.close();
  }
}

function medianOf(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}
