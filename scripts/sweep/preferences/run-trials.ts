/**
 * Trains what the grid of preferences lacks and keeps each result at once, in a separate process since it loads TensorFlow.
 * usage: run-trials.ts [WORD …]: tasks, methods or task/method. The last line of standard output is how many were trained.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openGenerator, train, WarmModel } from '@graft/peft-core';
import {
  type DataSize,
  defaultPeft,
  parsePeftConfig,
  resolveTraining,
  type TrainingOptions,
} from '@graft/peft-core/config';
import { buildOnce, openBaseModel } from '@graft/peft-core/files';
import { outlineOf } from '@graft/peft-core/outlines';
import { cacheFolder } from '../../bootstrap/cache-folder.mjs';
import { packagedModel } from '../../methods/packaged-model.ts';
import { isChosen } from '../words.ts';
import { objectiveOf, preferenceGrid } from './grid.ts';
import { countRight, measuresOf, type PairScore, scorePairs } from './measure.ts';
import { demonstrationOf, digestOf, type Pair, type Pairs, sizeOf } from './pairs.ts';
import {
  isSameTrial,
  keepLine,
  type Measures,
  type PreferenceResult,
  type PreferenceTrial,
  readPreferenceResults,
  type Start,
} from './results.ts';
import { preferenceTasks } from './tasks.ts';

/** Of the versions that pairs start from. */
const START_SEED = 42;

const words = process.argv.slice(2);
const folder = await mkdtemp(join(tmpdir(), 'graft-preferences-'));
const base = await openBaseModel(await packagedModel('smollm2'));
const generator = await openGenerator({ base });
const warm = new WarmModel();
const peft = parsePeftConfig({ ...defaultPeft, task_type: 'CAUSAL_LM' });
const model = outlineOf(base.config, 'CAUSAL_LM');
let trained = 0;
try {
  for (const trial of preferenceGrid.filter((trial) => isChosen(trial, words))) await runIfNew(trial);
} finally {
  warm.close();
  await generator.close();
  await base.close();
  await rm(folder, { recursive: true, force: true });
}
console.log(JSON.stringify({ trained }));

async function runIfNew(trial: PreferenceTrial): Promise<void> {
  const { pairs, data } = await pairsOf(trial.task);
  const { results } = readPreferenceResults();
  if (results.some((result) => result.data === data && isSameTrial(result, trial))) return;
  const result = await run(trial, pairs, data);
  keepLine(result);
  trained++;
  const { task, method, start, share, preference, n_epochs, seed } = trial;
  const more = `${JSON.stringify(preference)}${n_epochs === null ? '' : ` ${n_epochs} epochs`} seed ${seed}`;
  console.error(`${task} ${method} ${start} share ${share} ${more}: ${shown(result)} (${result.seconds} s)`);
}

function shown({ accuracy, preferred, margin, logp, right, pairs }: Measures): string {
  return `accuracy ${accuracy}, preferred ${preferred}, margin ${margin}, logp ${logp}, right ${right} of ${pairs}`;
}

async function run(trial: PreferenceTrial, pairs: Pairs, data: string): Promise<PreferenceResult> {
  const start = await startOf(trial.task, trial.start, pairs, data);
  const began = performance.now();
  const continues = trial.start === 'version';
  const learning_rate = rateOf(trial, sizeOf(pairs.training));
  // The generator keeps what it has read of a folder, so each run has another.
  const adapter = join(folder, `adapter-${trained}`);
  const steps = await trainRows(pairs.training, adapter, {
    task: trial.task,
    method: trial.method,
    initialAdapter: continues ? start.folder : null,
    training: {
      learning_rate,
      seed: trial.seed,
      ...(Object.keys(trial.preference).length > 0 && { preference: trial.preference }),
      ...(trial.n_epochs !== null && { n_epochs: trial.n_epochs }),
    },
  });
  const scores = await scorePairs(base, adapter, pairs.heldOut);
  const measures = {
    ...measuresOf(scores, start.scores),
    right: await rightOf(trial, adapter, pairs.heldOut),
  };
  const seconds = Math.round((performance.now() - began) / 1000);
  return { ...trial, ...measures, data, learning_rate, steps, seconds };
}

/** A share of the rate of supervised training in as many steps. */
function rateOf({ method, n_epochs, share, start }: PreferenceTrial, size: DataSize): number {
  const continues = start === 'version';
  const of = { peft, ...size, continues, model };
  const own = resolveTraining({ ...of, method, training: n_epochs === null ? {} : { n_epochs } });
  const examples = size.exampleCount * (objectiveOf(method).examplesPerLine?.[size.format!] ?? 1);
  const max_steps = own.n_epochs * Math.ceil(examples / own.batch_size);
  const supervised = resolveTraining({ ...of, format: null, training: { max_steps } });
  return Number((supervised.learning_rate * share).toPrecision(2));
}

/** Returns the number of steps. */
async function trainRows(
  rows: readonly object[],
  outputDir: string,
  of: { task: string; method: string | null; initialAdapter: string | null; training: TrainingOptions },
): Promise<number> {
  const trainingFile = join(folder, 'train.jsonl');
  await writeFile(trainingFile, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  await rm(outputDir, { recursive: true, force: true });
  const { template } = preferenceTasks[of.task]!;
  const continues = of.initialAdapter !== null;
  const training = resolveTraining({
    peft,
    training: { ...(template && { chat_template: template() }), ...of.training },
    ...sizeOf(rows),
    method: of.method,
    continues,
    model,
  });
  let steps = 0;
  for await (const record of train({
    base,
    baseModelName: 'smollm2',
    warm,
    sharesBase: true,
    peft,
    training,
    outputDir,
    trainingFile,
    ...(of.method !== null && { method: of.method }),
    ...(continues && { initialAdapter: of.initialAdapter }),
  }))
    if (record.type === 'step') steps = record.step;
  return steps;
}

/** Null from a base model whose answers have not the form of the right ones. */
async function rightOf(
  { task, start }: Pick<PreferenceTrial, 'task' | 'start'>,
  adapter: string,
  heldOut: readonly Pair[],
): Promise<number | null> {
  const { isScored, isKnown } = preferenceTasks[task]!;
  const isAsked = isScored && (start === 'version' || isKnown);
  return isAsked ? await countRight(generator, adapter, heldOut) : null;
}

/** The adapter that trials start from or, of the base model, one that changes nothing; it is trained once, and kept in the cache. */
async function startOf(task: string, start: Start, pairs: Pairs, data: string) {
  const kept = join(cacheFolder(), 'sweep', `${task}-${start}-${data}`);
  await mkdir(join(cacheFolder(), 'sweep'), { recursive: true });
  await buildOnce(kept, async (unfinished) => {
    const training =
      start === 'version' ? { seed: START_SEED } : { seed: START_SEED, max_steps: 1, learning_rate: 1e-8 };
    const rows = pairs.training.map(demonstrationOf);
    await trainRows(rows, unfinished, { task, method: null, initialAdapter: null, training });
    const scores = await scorePairs(base, unfinished, pairs.heldOut);
    await writeFile(join(unfinished, 'scores.json'), JSON.stringify(scores));
  });
  const scores = JSON.parse(await readFile(join(kept, 'scores.json'), 'utf8')) as PairScore[];
  const { starts } = readPreferenceResults();
  if (!starts.some((line) => line.task === task && line.start === start && line.data === data)) {
    const right = await rightOf({ task, start }, kept, pairs.heldOut);
    const measures = { ...measuresOf(scores, null), right };
    keepLine({ task, start, data, ...measures });
    console.error(`${task} ${start} before: ${shown(measures)}`);
  }
  return { folder: kept, scores };
}

/** A task's pairs and their digest. */
async function pairsOf(task: string): Promise<{ pairs: Pairs; data: string }> {
  const { data: make, digest } = preferenceTasks[task]!;
  const pairs = await make();
  const data = digestOf(pairs);
  if (digest !== undefined && digest !== data)
    throw new Error(`${task}: the pairs are not those of ${digest}, but of ${data}`);
  return { pairs, data };
}
