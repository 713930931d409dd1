/**
 * Trains what the results of a sweep lack and keeps each result at once, in a separate process since it loads TensorFlow, by a RunPlan.
 * The last line of standard output is how many were trained.
 */
import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { openGenerator } from '@graft/peft-core';
import { parsePeftConfig } from '@graft/peft-core/config';
import { type BaseModel, resolveBaseModel } from '@graft/peft-core/files';
import { outlineOf } from '@graft/peft-core/outlines';
import { loadTokenizer } from '@graft/peft-core/text';
import { digestFolder, listBaseModels } from '@graft/service/base-models';
import { cacheFolder } from '../bootstrap/cache-folder.mjs';
import { exactMatch, greedyAnswers } from '../demo/held-out.ts';
import { answer, readPlan } from '../measuring/processes.ts';
import { packagedModel } from '../methods/packaged-model.ts';
import { continuedRates, ranksOfRates } from './compare-rates.ts';
import {
  type Experiment,
  longResults,
  peftWith,
  pendingOf,
  resolvedFor,
  settingsFor,
  trialsOf,
} from './long.ts';
import { runPreferences } from './run-preferences.ts';
import { digestOf, isChosen, type RunPlan, sizeOf } from './sweep.ts';
import { dataOf, type LongTask, longTasks, type ModelName, models, questionsOf, tasks } from './tasks.ts';
import { openTrainer, secondsSince, type Trainer } from './trainer.ts';
import { grid, nextTrial, peftOf, type Result, type Row, resolved, results, type Trial } from './usual.ts';

/** A method that trains rows of chosen tokens trains this many. */
const CHOSEN_TOKENS = 18;

/** No answer of a long run's task has as many tokens. */
const LONGEST_ANSWER = 32;

const plan = await readPlan<RunPlan>();
const runs: Record<RunPlan['what'], (plan: RunPlan) => Promise<number>> = {
  usual: runUsual,
  long: runLong,
  preferences: runPreferences,
  ranks: ranksOfRates,
  continued: continuedRates,
};
answer({ trained: await runs[plan.what](plan) });

async function runUsual({ words }: RunPlan): Promise<number> {
  let trained = 0;
  /** Two base models are never in memory at once. */
  let open: { model: ModelName; trainer: Trainer } | undefined;

  async function trainerOf(model: ModelName): Promise<Trainer> {
    if (open?.model === model) return open.trainer;
    await open?.trainer.close();
    open = undefined;
    open = { model, trainer: await openTrainer(await packagedModel(model), model, { warm: true }) };
    return open.trainer;
  }

  /** Trains seeds that `before`, of the same trial, does not have. */
  async function run(row: Row, trial: Trial, before?: Result): Promise<void> {
    const { task: name, method, options, learning_rate, n_epochs, batch_size } = trial;
    const task = tasks[name]!;
    const trainer = await trainerOf(task.model);
    const began = performance.now();
    const peft = parsePeftConfig(withTokens(peftOf(trial), name, trainer.base));
    const losses = [...(before?.losses ?? [])];
    let steps = 0;
    for (const seed of models[task.model].seeds.slice(losses.length)) {
      const training = { ...(await resolved(row)), learning_rate, seed };
      const title = `${name} ${method} ${learning_rate}`;
      const measured = await trainer.train(task.data(), { peft, training, title });
      steps = measured.steps || steps;
      losses.push(measured.loss);
    }
    const mean = losses.reduce<number>((sum, loss) => sum + (loss ?? Number.NaN), 0) / losses.length;
    const seconds = (before?.seconds ?? 0) + secondsSince(began);
    const loss = Number.isNaN(mean) ? null : Number(mean.toPrecision(4));
    const own = { task: name, method, options, learning_rate, n_epochs, batch_size };
    results.keep({ ...own, data: dataOf(task), steps, seconds, loss, losses });
    trained++;
    const more = `${JSON.stringify(options)} ${n_epochs} × ${steps} of ${batch_size}`;
    console.error(`${name} ${method} ${learning_rate} ${more}: ${loss} (${seconds} s)`);
  }

  try {
    // Results with fewer seeds than are requested now.
    for (const result of results.read().filter((result) => isChosen(result, words) && isUnfinished(result))) {
      const { n_epochs, batch_size, steps: max_steps } = result;
      await run({ ...result, training: { n_epochs, batch_size, max_steps }, apart: null }, result, result);
    }
    for (const row of grid.filter((row) => isChosen(row, words)))
      for (;;) {
        const trial = await nextTrial(row, results.read());
        if (!trial) break;
        await run(row, trial);
      }
  } finally {
    await open?.trainer.close();
  }
  return trained;
}

function isUnfinished({ task: name, data, losses }: Result): boolean {
  const task = tasks[name]!;
  return losses.length < models[task.model].seeds.length && data === dataOf(task);
}

/** Chosen tokens are those that a task's rows have most often. */
function withTokens(peft: Record<string, unknown>, task: string, base: BaseModel): Record<string, unknown> {
  if (!('token_indices' in peft)) return peft;
  const tokenizer = loadTokenizer(base.tokenizerFiles);
  const counts = new Map<number, number>();
  for (const row of tasks[task]!.data().training)
    for (const id of tokenizer.encode(JSON.stringify(row))) counts.set(id, (counts.get(id) ?? 0) + 1);
  const most = [...counts].sort(([, a], [, b]) => b - a).slice(0, CHOSEN_TOKENS);
  return { ...peft, token_indices: most.map(([id]) => id) };
}

async function runLong({ words, model, seeds, steps }: RunPlan): Promise<number> {
  const cacheDir = cacheFolder();
  // Without a warm model the training program is closed before answers are generated: a large model is in memory once.
  const options = { warm: false, digestCache: digestFolder(cacheDir) };
  const trainer = await openTrainer(await locate(model, cacheDir), model, options);
  const { base, folder } = trainer;
  let trained = 0;
  try {
    for (const [name, task] of Object.entries(longTasks)) {
      if (words.length > 0 && !words.includes(name)) continue;
      const rows = task.data();
      const size = sizeOf(rows.training);
      const experiment: Experiment = {
        model: existsSync(model) ? basename(resolve(model)) : model,
        model_type: base.modelType,
        hidden_size: outlineOf(base.config, 'CAUSAL_LM').hiddenSize,
        task: name,
        data: digestOf(rows),
        steps,
      };
      const trials = trialsOf(settingsFor(experiment, size), seeds);
      const pending = pendingOf(experiment, trials, longResults.read());
      console.error(`${name}: ${trials.length - pending.length} of ${trials.length} runs are made`);
      for (const [at, trial] of pending.entries()) {
        const began = performance.now();
        const { lora_alpha: alpha, learning_rate, batch_size, seed } = trial;
        const training = resolvedFor(experiment, size, { batch_size, learning_rate, seed });
        const title = `${name} ${at + 1}/${pending.length}`;
        const { loss } = await trainer.train(rows, {
          peft: parsePeftConfig(peftWith(alpha)),
          training,
          title,
        });
        const isAsked = task.isScored && loss !== null;
        const counted = isAsked ? await countRight(base, join(folder, 'adapter'), task) : 0;
        const right = task.isScored ? counted : null;
        const seconds = secondsSince(began);
        longResults.keep({ ...experiment, ...trial, loss, right, seconds });
        trained++;
        const text = `${loss}${right === null ? '' : `, ${right} right`} (${seconds} s)`;
        console.error(`${name} alpha ${alpha}, ${learning_rate}, batch ${batch_size}, seed ${seed}: ${text}`);
      }
    }
  } finally {
    await trainer.close();
  }
  return trained;
}

/** How many questions the adapter answers, greedily, character for character, as the demo counts them. */
async function countRight(base: BaseModel, adapter: string, task: LongTask): Promise<number> {
  const questions = questionsOf(task);
  const generator = await openGenerator({ base });
  try {
    const requests = questions.map(({ prompt }) => ({ prompt, adapter, max_tokens: LONGEST_ANSWER }));
    return exactMatch(questions, await greedyAnswers(generator, requests));
  } finally {
    await generator.close();
  }
}

async function locate(model: string, cacheDir: string): Promise<string> {
  const acceptedTerms = (process.env.GRAFT_ACCEPTED_TERMS ?? '').split(',').map((id) => id.trim());
  const models = await listBaseModels({
    baseModels: process.env.GRAFT_BASE_MODELS,
    hubAllow: ['*/*'],
    acceptedTerms: acceptedTerms.filter(Boolean),
  });
  const known = existsSync(model) ? { folder: resolve(model) } : models.find(model);
  if (!known) throw new Error(`--model: ${model} is no folder, no file and no model id`);
  return resolveBaseModel(known, { cacheDir, onProgress: (line) => console.error(line) });
}
