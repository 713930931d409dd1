/** Trains what the grid of preferences lacks, and measures pairs. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Generator, openGenerator, scorePreferences } from '@graft/peft-core';
import {
  type DataSize,
  defaultPeft,
  parsePeftConfig,
  resolveTraining,
  type TrainingOptions,
} from '@graft/peft-core/config';
import { parseJsonl } from '@graft/peft-core/examples';
import { type BaseModel, buildOnce } from '@graft/peft-core/files';
import { outlineOf } from '@graft/peft-core/outlines';
import { cacheFolder } from '../bootstrap/cache-folder.mjs';
import { packagedModel } from '../methods/packaged-model.ts';
import { demonstrationOf, digestOfPairs, preferenceTasks } from './preference-tasks.ts';
import {
  isSameTrial,
  keepLine,
  type Measures,
  objectiveOf,
  type PreferenceTrial,
  preferenceGrid,
  readPreferenceResults,
  type Start,
} from './preferences.ts';
import { isChosen, type Rows, type RunPlan, sizeOf } from './sweep.ts';
import type { Pair } from './tool-calls/pairs.ts';
import { openTrainer, secondsSince } from './trainer.ts';

/** Seed of the versions that pairs start from. */
const START_SEED = 42;

export async function runPreferences({ words }: RunPlan): Promise<number> {
  const trainer = await openTrainer(await packagedModel('smollm2'), 'smollm2', { warm: true });
  const { base } = trainer;
  const generator = await openGenerator({ base });
  const peft = parsePeftConfig({ ...defaultPeft, task_type: 'CAUSAL_LM' });
  const model = outlineOf(base.config, 'CAUSAL_LM');
  let trained = 0;

  async function run(trial: PreferenceTrial, pairs: Rows<Pair>, data: string) {
    const { task, method, start, share, preference, n_epochs, seed } = trial;
    const from = await startOf(task, start, pairs, data);
    const began = performance.now();
    const learning_rate = rateOf(trial, sizeOf(pairs.training));
    // The generator keeps what it has read of a folder, so each run has another.
    const adapter = join(trainer.folder, `adapter-${trained}`);
    const steps = await trainRows(pairs.training, adapter, {
      task,
      method,
      initialAdapter: start === 'version' ? from.folder : null,
      training: {
        learning_rate,
        seed,
        ...(Object.keys(preference).length > 0 && { preference }),
        ...(n_epochs !== null && { n_epochs }),
      },
    });
    const scores = await scorePairs(base, adapter, pairs.validation);
    const right = await rightOf(task, start, adapter, pairs.validation);
    const measures: Measures = { ...measuresOf(scores, from.scores), right };
    const seconds = secondsSince(began);
    keepLine({ ...trial, ...measures, data, learning_rate, steps, seconds });
    trained++;
    const more = `${JSON.stringify(preference)}${n_epochs === null ? '' : ` ${n_epochs} epochs`} seed ${seed}`;
    console.error(`${task} ${method} ${start} share ${share} ${more}: ${shown(measures)} (${seconds} s)`);
  }

  /** A share of the rate of supervised training in as many steps. */
  function rateOf({ method, n_epochs, share, start }: PreferenceTrial, size: DataSize): number {
    const of = { peft, ...size, continues: start === 'version', model };
    const own = resolveTraining({ ...of, method, training: n_epochs === null ? {} : { n_epochs } });
    const examples = size.exampleCount * (objectiveOf(method).examplesPerLine?.[size.format!] ?? 1);
    const max_steps = own.n_epochs * Math.ceil(examples / own.batch_size);
    const supervised = resolveTraining({ ...of, format: null, training: { max_steps } });
    return Number((supervised.learning_rate * share).toPrecision(2));
  }

  /** Returns the number of steps. */
  async function trainRows(
    rows: object[],
    adapter: string,
    of: { task: string; method: string | null; initialAdapter: string | null; training: TrainingOptions },
  ): Promise<number> {
    const { task, method, initialAdapter } = of;
    const { template } = preferenceTasks[task]!;
    const training = resolveTraining({
      peft,
      method,
      model,
      continues: initialAdapter !== null,
      training: { ...(template && { chat_template: template() }), ...of.training },
      ...sizeOf(rows),
    });
    const options = {
      ...(method !== null && { method }),
      ...(initialAdapter !== null && { initialAdapter }),
    };
    const run = { peft, training, adapter, title: task, ...options };
    const { steps } = await trainer.train({ training: rows, validation: [] }, run);
    if (steps === 0) throw new Error(`${task}: training diverged`);
    return steps;
  }

  /** Null from a base model whose answers have not the form of the right ones. */
  async function rightOf(task: string, start: Start, adapter: string, heldOut: readonly Pair[]) {
    const { isScored, isKnown } = preferenceTasks[task]!;
    const isAsked = isScored && (start === 'version' || isKnown);
    return isAsked ? await countRight(generator, adapter, heldOut) : null;
  }

  /** The adapter that trials start from or, of the base model, one that changes nothing; it is trained once, and kept in the cache. */
  async function startOf(task: string, start: Start, pairs: Rows<Pair>, data: string) {
    const kept = join(cacheFolder(), 'sweep', `${task}-${start}-${data}`);
    await mkdir(join(cacheFolder(), 'sweep'), { recursive: true });
    await buildOnce(kept, async (unfinished) => {
      const nothing = start === 'version' ? {} : { max_steps: 1, learning_rate: 1e-8 };
      const training = { seed: START_SEED, ...nothing };
      const rows = pairs.training.map(demonstrationOf);
      await trainRows(rows, unfinished, { task, method: null, initialAdapter: null, training });
      const scores = await scorePairs(base, unfinished, pairs.validation);
      await writeFile(join(unfinished, 'scores.json'), JSON.stringify(scores));
    });
    const scores = JSON.parse(await readFile(join(kept, 'scores.json'), 'utf8')) as PairScore[];
    const { starts } = readPreferenceResults();
    if (!starts.some((line) => line.task === task && line.start === start && line.data === data)) {
      const right = await rightOf(task, start, kept, pairs.validation);
      const measures = { ...measuresOf(scores, null), right };
      keepLine({ task, start, data, ...measures });
      console.error(`${task} ${start} before: ${shown(measures)}`);
    }
    return { folder: kept, scores };
  }

  try {
    for (const trial of preferenceGrid.filter((trial) => isChosen(trial, words))) {
      const { data: make, digest } = preferenceTasks[trial.task]!;
      const pairs = await make();
      const data = digestOfPairs(pairs);
      if (digest !== undefined && digest !== data)
        throw new Error(`${trial.task}: the pairs are not those of ${digest}, but of ${data}`);
      const { results } = readPreferenceResults();
      if (!results.some((result) => result.data === data && isSameTrial(result, trial)))
        await run(trial, pairs, data);
    }
  } finally {
    await generator.close();
    await trainer.close();
  }
  return trained;
}

const shown = ({ accuracy, preferred, margin, logp, right, pairs }: Measures): string =>
  `accuracy ${accuracy}, preferred ${preferred}, margin ${margin}, logp ${logp}, right ${right} of ${pairs}`;

/** Log-probabilities of both answers of a pair. */
interface PairScore {
  chosen: number;
  rejected: number;
  /** Length of the chosen answer. */
  tokens: number;
}

async function scorePairs(base: BaseModel, adapterDir: string, pairs: readonly Pair[]): Promise<PairScore[]> {
  const { examples } = parseJsonl(pairs.map((pair) => JSON.stringify(pair)));
  const scores: PairScore[] = [];
  for await (const { chosen, rejected } of scorePreferences({ base, adapterDir, examples }))
    scores.push({ chosen: chosen.logprob, rejected: rejected.logprob, tokens: chosen.logprobs.length });
  return scores;
}

/** @param before scores of the start; null: these are they */
export function measuresOf(
  scores: readonly PairScore[],
  before: readonly PairScore[] | null,
): Omit<Measures, 'right'> {
  const share = (holds: (score: PairScore, i: number) => boolean) =>
    round(scores.filter(holds).length / scores.length);
  const sum = (amountOf: (score: PairScore, i: number) => number) =>
    scores.reduce((total, score, i) => total + amountOf(score, i), 0);
  const margin = ({ chosen, rejected }: PairScore, i: number) =>
    chosen - before![i]!.chosen - (rejected - before![i]!.rejected);
  return {
    accuracy: before && share((score, i) => margin(score, i) > 0),
    preferred: share(({ chosen, rejected }) => chosen > rejected),
    margin: before && round(sum(margin) / scores.length),
    logp: round(sum(({ chosen }) => chosen) / sum(({ tokens }) => tokens)),
    pairs: scores.length,
  };
}

const round = (value: number) => Number(value.toPrecision(4));

/** How many greedy answers are the chosen ones: texts character for character, calls by name and arguments. */
async function countRight(generator: Generator, adapter: string, pairs: readonly Pair[]): Promise<number> {
  // No token of these answers is shorter than one and a half characters on average.
  const longest = Math.max(...pairs.map(({ chosen }) => JSON.stringify(chosen).length / 1.5));
  const answers = await Promise.all(
    pairs.map((pair) => answerTo(generator, adapter, pair, Math.ceil(longest))),
  );
  return pairs.filter((pair, i) => answers[i] === wantedOf(pair)).length;
}

function wantedOf({ chosen }: Pair): string {
  if (typeof chosen === 'string') return chosen.trim();
  const { content = '', tool_calls: calls = [] } = chosen[0]!;
  return calls.length > 0 ? callText(calls[0]!.function.name, calls[0]!.function.arguments) : content.trim();
}

/** Arguments in any order; null: they are no JSON. */
function callText(name: string, given: string): string {
  const sorted = (value: unknown): unknown =>
    typeof value !== 'object' || value === null || Array.isArray(value)
      ? value
      : Object.entries(value)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([key, part]) => [key, sorted(part)]);
  try {
    return JSON.stringify([name, sorted(JSON.parse(given))]);
  } catch {
    return '';
  }
}

async function answerTo(
  generator: Generator,
  adapter: string,
  pair: Pair,
  max_tokens: number,
): Promise<string> {
  const request = {
    adapter,
    max_tokens,
    ...(typeof pair.prompt === 'string' ? { prompt: pair.prompt } : { messages: pair.prompt as never }),
    ...('tools' in pair && { tools: pair.tools as never }),
  };
  let text = '';
  const calls: { name: string; arguments: string }[] = [];
  for await (const piece of generator.generate(request)) {
    text += piece.text;
    for (const { index, name, arguments: part } of piece.calls ?? []) {
      calls[index] ??= { name: name ?? '', arguments: '' };
      calls[index].arguments += part;
    }
  }
  if (!('tools' in pair)) return text.trim();
  return calls.length === 1 ? callText(calls[0]!.name, calls[0]!.arguments) : '';
}
