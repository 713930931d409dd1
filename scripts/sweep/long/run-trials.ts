/**
 * Trains the long runs that are still to be made, and keeps each result at once, in a separate process since it loads TensorFlow.
 * Its plan is a LongPlan. The last line of standard output is how many were trained.
 */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { openGenerator } from '@graft/peft-core';
import { parsePeftConfig, resolveTraining } from '@graft/peft-core/config';
import { type BaseModel, openBaseModel, resolveBaseModel } from '@graft/peft-core/files';
import { outlineOf } from '@graft/peft-core/outlines';
import { digestFolder, listBaseModels } from '@graft/service/base-models';
import { cacheFolder } from '../../bootstrap/cache-folder.mjs';
import { readPlan } from '../../measuring/processes.ts';
import { dataSizeOf } from '../../methods/data-size.ts';
import { trainRows } from '../train-rows.ts';
import { peftWith, pendingOf, settingsFor, trialsOf } from './grid.ts';
import { type Experiment, keepLongResult, type LongTrial, readLongResults } from './results.ts';
import { digestOf, type LongTask, longTasks, questionsOf } from './tasks.ts';

export interface LongPlan {
  /** A folder, a GGUF file, an id of the catalogue, or org/name on the Hugging Face Hub. */
  model: string;
  tasks: string[];
  seeds: number;
  steps: number;
}

/** No answer of a task has as many tokens. */
const LONGEST_ANSWER = 32;

const plan = await readPlan<LongPlan>();
const folder = await mkdtemp(join(tmpdir(), 'graft-long-'));
const cacheDir = cacheFolder();
const base = await openBaseModel(await locate(plan.model), { digestCache: digestFolder(cacheDir) });
const outline = outlineOf(base.config, 'CAUSAL_LM');
let trained = 0;
try {
  for (const name of plan.tasks) await runTask(name, longTasks[name]!);
} finally {
  await base.close();
  await rm(folder, { recursive: true, force: true });
}
console.log(JSON.stringify({ trained }));

async function runTask(name: string, task: LongTask): Promise<void> {
  const experiment: Experiment = {
    model: existsSync(plan.model) ? basename(resolve(plan.model)) : plan.model,
    model_type: base.modelType,
    hidden_size: outline.hiddenSize,
    task: name,
    data: digestOf(task),
    steps: plan.steps,
  };
  const size = dataSizeOf(task.data().training.map((row) => JSON.stringify(row)));
  const trials = trialsOf(settingsFor(experiment, size), plan.seeds);
  const pending = pendingOf(experiment, trials, readLongResults());
  console.error(`${name}: ${trials.length - pending.length} of ${trials.length} runs are made`);
  for (const [at, trial] of pending.entries()) {
    const began = performance.now();
    const result = await runOne(task, trial, `${name} ${at + 1}/${pending.length}`);
    const seconds = Math.round((performance.now() - began) / 1000);
    keepLongResult({ ...experiment, ...trial, ...result, seconds });
    trained++;
    const { lora_alpha: alpha, learning_rate: rate, batch_size: batch, seed } = trial;
    const right = result.right === null ? '' : `, ${result.right} right`;
    console.error(
      `${name} alpha ${alpha}, ${rate}, batch ${batch}, seed ${seed}: ${result.loss}${right} (${seconds} s)`,
    );
  }
}

async function runOne(
  task: LongTask,
  { lora_alpha, learning_rate, batch_size, seed }: LongTrial,
  title: string,
): Promise<{ loss: number | null; right: number | null }> {
  const rows = task.data();
  const peft = parsePeftConfig(peftWith(lora_alpha));
  const adapter = join(folder, 'adapter');
  await rm(adapter, { recursive: true, force: true });
  const training = resolveTraining({
    peft,
    training: { max_steps: plan.steps, eval_steps: 1_000_000, batch_size, learning_rate, seed },
    ...dataSizeOf(rows.training.map((row) => JSON.stringify(row))),
    model: outline,
    hasValidationFile: true,
  });
  // Without a warm model the training program is closed before answers are generated: a large model is in memory once.
  const options = { base, baseModelName: plan.model, peft, training, outputDir: adapter };
  const { loss } = await trainRows(folder, rows, options, title);
  if (loss === null) return { loss, right: task.isScored ? 0 : null };
  const right = task.isScored ? await countRight(base, adapter, task) : null;
  return { loss, right };
}

/** How many questions the adapter answers, greedily, character for character, as the demo counts them. */
async function countRight(base: BaseModel, adapter: string, task: LongTask): Promise<number> {
  const questions = questionsOf(task);
  const generator = await openGenerator({ base });
  try {
    const answers = await Promise.all(
      questions.map(async ({ prompt }) => {
        let text = '';
        const pieces = generator.generate({ prompt, adapter, max_tokens: LONGEST_ANSWER });
        for await (const piece of pieces) text += piece.text;
        return text.trim();
      }),
    );
    return questions.filter(({ answer }, i) => answer === answers[i]).length;
  } finally {
    await generator.close();
  }
}

async function locate(model: string): Promise<string> {
  const known = existsSync(model) ? { folder: resolve(model) } : await inCatalogue(model);
  if (!known) throw new Error(`--model: ${model} is no folder, no file and no model id`);
  return resolveBaseModel(known, { cacheDir, onProgress: (line) => console.error(line) });
}

async function inCatalogue(model: string) {
  const acceptedTerms = (process.env.GRAFT_ACCEPTED_TERMS ?? '').split(',').map((id) => id.trim());
  const models = await listBaseModels({
    baseModels: process.env.GRAFT_BASE_MODELS,
    hubAllow: ['*/*'],
    acceptedTerms: acceptedTerms.filter(Boolean),
  });
  return models.find(model);
}
