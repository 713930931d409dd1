/**
 * One training for docs/methods.md, in a separate process so that its peak memory is its own. Its plan is a RunPlan.
 * The last line of standard output is a RunResult.
 */
import { readFile, rm } from 'node:fs/promises';
import { Generator, scoreTexts, train } from '@graft/peft-core';
import { parsePeftConfig, resolveTraining } from '@graft/peft-core/config';
import { openBaseModel } from '@graft/peft-core/files';
import { outlineOf } from '@graft/peft-core/outlines';
import { readPlan } from '../measuring/processes.ts';
import { dataSizeOf } from './data-size.ts';

export interface RunPlan {
  model: string;
  modelName: string;
  trainingFile: string;
  heldOutFile: string;
  peft: Record<string, unknown>;
  training: Record<string, unknown>;
  outputDir: string;
  /** False: only measure the untrained model. */
  train: boolean;
  /** Names of a classifier's labels, in order; null for a language model, whose answers are compared. */
  labels: string[] | null;
}

export interface RunResult {
  trainableParameters: number;
  fileBytes: number;
  seconds: number;
  peakBytes: number;
  /** On the held-out examples, from 0 to 1. */
  accuracy: number;
  precision: 'fp32' | 'bf16';
}

const plan = await readPlan<RunPlan>();
const base = await openBaseModel(plan.model);
const peft = parsePeftConfig(plan.peft);
const lines = (text: string) => text.split('\n').filter((line) => line.trim() !== '');
const heldOut = lines(await readFile(plan.heldOutFile, 'utf8')).map((line) => JSON.parse(line));
const result: RunResult = {
  trainableParameters: 0,
  fileBytes: 0,
  seconds: 0,
  peakBytes: 0,
  accuracy: 0,
  precision: 'fp32',
};

if (plan.train) {
  const training = resolveTraining({
    peft,
    training: plan.training,
    model: outlineOf(base.config),
    ...dataSizeOf(await readFile(plan.trainingFile)),
  });
  await rm(plan.outputDir, { recursive: true, force: true });
  const began = performance.now();
  const records = train({
    base,
    baseModelName: plan.modelName,
    trainingFile: plan.trainingFile,
    peft,
    training,
    outputDir: plan.outputDir,
  });
  for await (const record of records) {
    if (record.type === 'start') {
      result.trainableParameters = record.trainableParameters;
      result.precision = record.precision;
    }
    if (record.type === 'step' && record.step % 10 === 0)
      process.stderr.write(`    step ${record.step}/${record.totalSteps}  loss ${record.loss.toFixed(3)}\n`);
    if (record.type === 'done') {
      // The adapters library keeps a classifier's head in a separate file.
      const weights = record.files.filter(({ path }) => path.endsWith('.safetensors'));
      result.fileBytes = weights.reduce((sum, { bytes }) => sum + bytes, 0);
      result.peakBytes = record.peakMemoryBytes;
    }
  }
  result.seconds = (performance.now() - began) / 1000;
}
const adapterDir = plan.train ? plan.outputDir : null;
result.accuracy = plan.labels ? await classified(plan.labels) : await answered();
await base.close();
console.log(JSON.stringify(result));

/** Share of held-out questions answered character for character. */
async function answered(): Promise<number> {
  const generator = await Generator.open({ base, context: 512 });
  let right = 0;
  for (const { messages } of heldOut) {
    let text = '';
    for await (const part of generator.generate({
      adapter: adapterDir,
      messages: messages.slice(0, -1),
      max_tokens: 24,
    }))
      text += part.text;
    if (text.trim() === messages.at(-1).content.trim()) right++;
  }
  await generator.close();
  return right / heldOut.length;
}

/** Share of held-out texts whose largest logit is their label's. */
async function classified(labels: string[]): Promise<number> {
  let right = 0;
  let i = 0;
  const input = heldOut.map(({ text }) => ({ text }));
  for await (const score of scoreTexts({ base, adapterDir, input })) {
    if (!('logits' in score)) throw new Error('a classifier gives logits');
    const logits = (score as { logits: number[] }).logits.flat();
    if (labels[logits.indexOf(Math.max(...logits))] === heldOut[i++].label) right++;
  }
  return right / heldOut.length;
}
