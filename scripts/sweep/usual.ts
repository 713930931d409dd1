/** The usual sweep: each method on tasks of several kinds and sizes, at learning rates around the automatic one. */
import { isDeepStrictEqual } from 'node:util';
import { defaultPeft, methods, parsePeftConfig, resolveTraining } from '@graft/peft-core/config';
import { openBaseModel } from '@graft/peft-core/files';
import { type ModelOutline, outlineOf, writesText } from '@graft/peft-core/outlines';
import { defaultMethod } from '../demo/options.ts';
import { plainTable } from '../methods/markdown-table.ts';
import { packagedModel } from '../methods/packaged-model.ts';
import { methodName } from '../methods/settings.ts';
import { isChosen, resultsFile, type Sweep, sizeOf, type Tried } from './sweep.ts';
import { dataOf, type ModelName, models, tasks, type UsualTask } from './tasks.ts';

/** One training: a method on a task, with values that may differ from the automatic ones. */
export interface Trial extends Tried {
  /** Options of the method beside those of its usual trial. */
  options: Record<string, unknown>;
  learning_rate: number;
  n_epochs: number;
  batch_size: number;
}

export interface Result extends Trial {
  /** Digest of the task's rows. */
  data: string;
  steps: number;
  /** On the validation rows after the last step: the mean of the seeds; null: one was not a number. */
  loss: number | null;
  /** One value per seed. */
  losses: (number | null)[];
  seconds: number;
}

export const results = resultsFile<Result, keyof Trial>('results.jsonl', [
  'task',
  'method',
  'options',
  'learning_rate',
  'n_epochs',
  'batch_size',
]);

/** A loss that is not a number is the worst. */
const lossOf = ({ loss }: Result): number => loss ?? Number.POSITIVE_INFINITY;

const types = Object.keys(methods) as (keyof typeof methods)[];
const methodNames = types.map(methodName);

/** A row of the grid: learning rates are tried around the automatic one, all else stays. */
export interface Row extends Omit<Trial, 'learning_rate' | 'n_epochs' | 'batch_size'> {
  /** Instead of the automatic values. */
  training: { n_epochs?: number; batch_size?: number; max_steps?: number };
  /** Maximum number of rates above and below the best one; null: the automatic rate alone. */
  apart: number | null;
}

/** Below this a trial has all the steps that it would have as a job. */
const FEW_ROWS = 100;

const names = Object.keys(tasks);
/** Where other methods than the first are tried: tasks of each model, some that rules are set by and some that check them. */
const fewer = ['urgency', 'descriptions', 'messages', 'names', 'bike-shop'];
const row = (task: string, method: string, more: Partial<Row> = {}): Row => {
  return { task, method, options: {}, training: {}, apart: null, ...more };
};

const rank8 = { r: 8, lora_alpha: 16 };
const rank16 = { r: 16, lora_alpha: 32 };

/** Trials, in this order. */
export const grid: Row[] = [
  ...names.map((task) => row(task, defaultMethod, { apart: 2 })),
  ...names
    .filter((task) => writesText(tasks[task]!.type))
    .flatMap((task) =>
      [rank8, { r: 16, lora_alpha: 128 }].map((options) => row(task, defaultMethod, { options, apart: 2 })),
    ),
  // Longer runs.
  row('descriptions', defaultMethod, { training: { n_epochs: 2, max_steps: 120 }, apart: 2 }),
  row('teams', defaultMethod, { training: { n_epochs: 10, max_steps: 300 }, apart: 2 }),
  // Few rows: how often they are seen, and how many at once.
  ...['urgency', 'instructions'].flatMap((task) =>
    [{ n_epochs: 3 }, { n_epochs: 6 }, { batch_size: 4 }].map((training) =>
      row(task, defaultMethod, { training }),
    ),
  ),
  ...['few-chats', 'few-answers', 'few-texts'].flatMap((task) =>
    [3, 6, 12].map((n_epochs) =>
      row(task, defaultMethod, { options: rank16, training: { n_epochs }, apart: 2 }),
    ),
  ),
  ...[rank16, { lora_alpha: 8 }].flatMap((options) =>
    ['descriptions', 'bike-shop'].map((task) => row(task, defaultMethod, { options, apart: 2 })),
  ),
  row('descriptions', defaultMethod, { options: { lora_alpha: 32 }, apart: 2 }),
  ...fewer.flatMap((task) =>
    methodNames
      .filter((method) => method !== defaultMethod && optionsOf(method, tasks[task]!))
      .map((method) => row(task, method, { apart: 3 })),
  ),
];

/**
 * Options of a request without options, for models that write text, or of a method's trial on the model of a task; null: the method has
 * no trial there.
 */
function optionsOf(method: string, task: UsualTask): Record<string, unknown> | null {
  const isText = writesText(task.type);
  if (method === defaultMethod) return isText ? defaultPeft : { ...defaultPeft, ...rank8 };
  const { trials } = methods[types[methodNames.indexOf(method)]!];
  return (isText ? trials.languageModel : trials.classifier)?.options ?? null;
}

/** As a request has it. */
export function peftOf({ task: name, method, options }: Pick<Trial, 'task' | 'method' | 'options'>) {
  const task = tasks[name]!;
  return {
    ...optionsOf(method, task),
    peft_type: types[methodNames.indexOf(method)]!,
    task_type: task.type,
    ...options,
  };
}

/** Automatic options of a row, in as many steps as a trial may have; few rows take few anyway. */
export async function resolved(row: Omit<Row, 'apart'>) {
  const { model, type, data } = tasks[row.task]!;
  const size = sizeOf(data().training);
  const bound = size.exampleCount < FEW_ROWS ? {} : { max_steps: models[model].maxSteps };
  return resolveTraining({
    peft: parsePeftConfig(peftOf(row)),
    training: { ...bound, ...row.training, eval_steps: 1_000_000 },
    ...size,
    model: await outline(model, type),
  });
}

/** A run of more steps than trials may have shows how long runs learn, and nothing of the values that the others try. */
function isLongRun({ task: name, steps }: Pick<Result, 'task' | 'steps'>): boolean {
  const task = tasks[name]!;
  return steps > models[task.model].maxSteps && task.data().training.length >= FEW_ROWS;
}

export async function automaticTrial(row: Row): Promise<Trial> {
  const { learning_rate, n_epochs, batch_size } = await resolved(row);
  const { task, method, options } = row;
  return { task, method, options, learning_rate, n_epochs, batch_size };
}

/** Next trial that a row lacks: the automatic rate, then one on either side of the best. Null: none. */
export async function nextTrial(row: Row, all: readonly Result[]): Promise<Trial | null> {
  const automatic = await automaticTrial(row);
  if (!all.some((result) => results.isSame(automatic, result))) return automatic;
  if (row.apart === null) return null;
  const { learning_rate: _, ...others } = automatic;
  const rates = all
    .filter((result) =>
      Object.entries(others).every(([key, value]) => isDeepStrictEqual(result[key as keyof Trial], value)),
    )
    .sort((a, b) => a.learning_rate - b.learning_rate);
  const best = rates.reduce((a, b) => (lossOf(b) < lossOf(a) ? b : a));
  const at = rates.indexOf(best);
  const far = (a: Result | undefined, b: Result | undefined) =>
    !a || !b || b.learning_rate / a.learning_rate > 1.3 * row.apart!;
  const times = far(rates[at - 1], best) ? 1 / row.apart : far(best, rates[at + 1]) ? row.apart : null;
  if (times === null) return null;
  return { ...automatic, learning_rate: Number((best.learning_rate * times).toPrecision(2)) };
}

const outlines = new Map<string, Promise<ModelOutline>>();

/** Outline from config.json alone. */
function outline(model: ModelName, type: UsualTask['type']): Promise<ModelOutline> {
  const key = `${model} ${type}`;
  const made = outlines.get(key) ?? readOutline(model, type);
  outlines.set(key, made);
  return made;
}

async function readOutline(model: ModelName, type: UsualTask['type']): Promise<ModelOutline> {
  const base = await openBaseModel(await packagedModel(model));
  const { config } = base;
  await base.close();
  return outlineOf(config, type);
}

export interface Verdict extends Tried {
  use: 'rule' | 'held out';
  automatic: Trial;
  /** With automatic values; null: such a trial was not made, or was of other rows. */
  loss: number | null;
  /** Best of all trials of this method on this task. */
  best: Result;
}

/** How much more than the best an automatic loss may be, and on how many tasks at least. */
const bounds = { [defaultMethod]: { ratio: 1.05, misses: 1 }, others: { ratio: 1.15, misses: 0 } };

/** Rows of the grid with automatic values alone: a pair of task and method each. */
const plainRows = grid.filter(
  ({ options, training }) => Object.keys({ ...options, ...training }).length === 0,
);

const isOfRow = (a: Tried, b: Tried) => a.task === b.task && a.method === b.method;

/** Pairs without a measurement. */
export const untried = (all: readonly Result[]): string[] =>
  plainRows
    .filter((row) => !all.some((result) => isOfRow(result, row)))
    .map(({ task, method }) => `${task}/${method}`);

export async function verdictsOn(all: readonly Result[]): Promise<Verdict[]> {
  const digests = new Map(names.map((name) => [name, dataOf(tasks[name]!)]));
  const current = all.filter(({ task, data }) => data === digests.get(task));
  const verdicts: Verdict[] = [];
  for (const row of plainRows) {
    const tried = current.filter((result) => isOfRow(result, row) && !isLongRun(result));
    if (tried.length === 0) continue;
    const automatic = await automaticTrial(row);
    const best = tried.reduce((a, b) => (lossOf(b) < lossOf(a) ? b : a));
    const loss = current.find((result) => results.isSame(automatic, result))?.loss ?? null;
    const { task, method } = row;
    verdicts.push({ task, method, use: tasks[task]!.use, automatic, loss, best });
  }
  return verdicts;
}

export const ratioOf = ({ loss, best }: Verdict): number => (loss ?? Number.NaN) / lossOf(best);

const boundOf = ({ method }: Verdict) => (method === defaultMethod ? bounds[defaultMethod]! : bounds.others);
const isNear = (verdict: Verdict): boolean => ratioOf(verdict) <= boundOf(verdict).ratio;

/** The automatic loss as a multiple of the best. */
const ratioText = (verdict: Verdict) => (verdict.loss === null ? 'not tried' : ratioOf(verdict).toFixed(2));

/** Faults on the tasks that are held out, a line each. */
export function faultsOf(verdicts: readonly Verdict[]): string[] {
  const heldOut = verdicts.filter(({ use }) => use === 'held out');
  return [...new Set(heldOut.map(({ method }) => method))].flatMap((method) => {
    const all = heldOut.filter((verdict) => verdict.method === method);
    const far = all.filter((verdict) => !isNear(verdict));
    const { ratio, misses } = boundOf(all[0]!);
    if (far.length <= misses) return [];
    const tasks = far.map((verdict) => `${verdict.task} ${ratioText(verdict)}`);
    return [`${method}: ${tasks.join(', ')}; the limit is ${ratio} of the best loss`];
  });
}

/** One line a method and task, in Markdown. */
export function tableOf(verdicts: readonly Verdict[]): string {
  const lines = verdicts.map((verdict) => {
    const { task, method, use, automatic, loss, best } = verdict;
    const rates = [automatic.learning_rate, best.learning_rate].map((rate) => rate.toExponential());
    const mark = isNear(verdict) ? '' : ' ✗';
    const ratio = `${ratioText(verdict)}${mark}`;
    return [task, use, method, rates[0], loss ?? '', `${rates[1]}${others(best)}`, best.loss, ratio];
  });
  const head = ['task', 'use', 'method', 'automatic rate', 'its loss', 'best', 'its loss', 'ratio'];
  return plainTable(head, lines);
}

/** Settings of the best besides its rate. */
function others({ options, n_epochs, batch_size, steps }: Result): string {
  const given = Object.entries(options).map(([name, value]) => `, ${name} ${value}`);
  return `${given.join('')}, ${steps} steps of ${batch_size}${n_epochs === 3 ? '' : `, ${n_epochs} epochs`}`;
}

export const usual: Sweep = {
  tasks,
  grid,
  async report(words) {
    const all = results.read();
    const verdicts = (await verdictsOn(all)).filter((verdict) => isChosen(verdict, words));
    const missing = words.length === 0 ? untried(all) : [];
    return {
      tables: { sweep: tableOf(verdicts) },
      faults: [
        ...faultsOf(verdicts),
        ...(missing.length > 0 ? [`not tried yet: ${missing.join(', ')}`] : []),
      ],
    };
  },
  made: (task, method) =>
    `${results.read().filter((result) => isOfRow(result, { task, method })).length} trials`,
};
