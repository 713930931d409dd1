/**
 * Trains what the grid lacks and keeps each result, in a separate process since it loads TensorFlow. The base model is loaded once
 * for trials that follow each other. usage: run-trials.ts [WORD …]: tasks and methods that narrow what is tried. The last line of standard
 * output is how many were trained.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WarmModel } from '@graft/peft-core';
import { parsePeftConfig } from '@graft/peft-core/config';
import { type BaseModel, openBaseModel } from '@graft/peft-core/files';
import { loadTokenizer } from '@graft/peft-core/text';
import { packagedModel } from '../methods/packaged-model.ts';
import { grid, nextTrial, peftOf, type Row, resolved } from './grid.ts';
import { keepResult, type Result, readResults, type Trial } from './results.ts';
import { digestOf, type ModelName, models, type Task, tasks } from './tasks.ts';
import { trainRows } from './train-rows.ts';
import { isChosen } from './words.ts';

/** A method that trains rows of chosen tokens trains this many. */
const CHOSEN_TOKENS = 18;

const folder = await mkdtemp(join(tmpdir(), 'graft-sweep-'));
const warm = new WarmModel();
let trained = 0;
const bases = new Map<ModelName, BaseModel>();
const words = process.argv.slice(2);
try {
  // Results with fewer seeds than are requested now.
  for (const result of readResults().filter((result) => isChosen(result, words) && isUnfinished(result))) {
    const { n_epochs, batch_size, steps: max_steps } = result;
    const row = { ...result, training: { n_epochs, batch_size, max_steps }, apart: null };
    keep(await run(row, result, result));
  }
  for (const row of grid.filter((row) => isChosen(row, words))) {
    for (;;) {
      const trial = await nextTrial(row, readResults());
      if (!trial) break;
      keep(await run(row, trial));
    }
  }
} finally {
  await closeBase();
  await rm(folder, { recursive: true, force: true });
}
console.log(JSON.stringify({ trained }));

function isUnfinished({ task: name, data, losses }: Result): boolean {
  const task = tasks[name]!;
  return losses.length < models[task.model].seeds.length && data === digestOf(task);
}

function keep(result: Result): void {
  keepResult(result);
  trained++;
  const { task, method, options, learning_rate: rate, n_epochs, batch_size } = result;
  const more = [JSON.stringify(options), `${n_epochs} × ${result.steps} of ${batch_size}`].join(' ');
  console.error(`${task} ${method} ${rate} ${more}: ${result.loss} (${result.seconds} s)`);
}

/** With what `before` has of the same trial already. */
async function run(
  row: Row,
  { task: name, method, options, learning_rate, n_epochs, batch_size }: Trial,
  before?: Result,
): Promise<Result> {
  const trial: Trial = { task: name, method, options, learning_rate, n_epochs, batch_size };
  const task = tasks[name]!;
  const base = await baseOf(task.model);
  const began = performance.now();
  const rows = task.data();
  const peft = parsePeftConfig(withTokens(peftOf(trial), task, base));
  const losses = [...(before?.losses ?? [])];
  let steps = 0;
  for (const seed of models[task.model].seeds.slice(losses.length)) {
    const training = { ...(await resolved(row)), learning_rate, seed };
    const outputDir = join(folder, 'adapter');
    const options = { base, baseModelName: task.model, warm, sharesBase: true, peft, training, outputDir };
    const measured = await trainRows(folder, rows, options, `${name} ${method} ${learning_rate}`);
    steps = measured.steps || steps;
    losses.push(measured.loss);
  }
  const mean = losses.reduce<number>((sum, loss) => sum + (loss ?? Number.NaN), 0) / losses.length;
  const seconds = (before?.seconds ?? 0) + Math.round((performance.now() - began) / 1000);
  const loss = Number.isNaN(mean) ? null : Number(mean.toPrecision(4));
  return { ...trial, data: digestOf(task), steps, seconds, loss, losses };
}

/** Two base models are never in memory at once. */
async function baseOf(model: ModelName): Promise<BaseModel> {
  const known = bases.get(model);
  if (known) return known;
  await closeBase();
  const base = await openBaseModel(await packagedModel(model));
  bases.set(model, base);
  return base;
}

async function closeBase(): Promise<void> {
  warm.close();
  for (const base of bases.values()) await base.close();
  bases.clear();
}

/** Chosen tokens are those that a task's rows have most often. */
function withTokens(peft: Record<string, unknown>, task: Task, base: BaseModel): Record<string, unknown> {
  if (!('token_indices' in peft)) return peft;
  const tokenizer = loadTokenizer(base.tokenizerFiles);
  const counts = new Map<number, number>();
  for (const row of task.data().training)
    for (const id of tokenizer.encode(JSON.stringify(row))) counts.set(id, (counts.get(id) ?? 0) + 1);
  const most = [...counts].sort(([, a], [, b]) => b - a).slice(0, CHOSEN_TOKENS);
  return { ...peft, token_indices: most.map(([id]) => id) };
}
