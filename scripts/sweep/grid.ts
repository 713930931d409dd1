import { isDeepStrictEqual } from 'node:util';
import { defaultPeft, methods, parsePeftConfig, resolveTraining } from '@graft/peft-core/config';
import { openBaseModel } from '@graft/peft-core/files';
import { type ModelOutline, outlineOf, writesText } from '@graft/peft-core/outlines';
import { defaultMethod } from '../demo/options.ts';
import { dataSizeOf } from '../methods/data-size.ts';
import { packagedModel } from '../methods/packaged-model.ts';
import { methodName } from '../methods/settings.ts';
import { lossOf, type Result, resultOf, type Trial } from './results.ts';
import { type ModelName, models, type Task, tasks } from './tasks.ts';

const types = Object.keys(methods) as (keyof typeof methods)[];
export const methodNames = types.map(methodName);

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

/** What is tried, in this order. */
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
 * What a request without options gets, which is for models that write text, or a method's trial on the model of a task; null: it has
 * none there.
 */
function optionsOf(method: string, task: Task): Record<string, unknown> | null {
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

/** What automatic training makes of a row, in as many steps as a trial may have; few rows take few anyway. */
export async function resolved(row: Omit<Row, 'apart'>) {
  const { model, type, data } = tasks[row.task]!;
  const size = dataSizeOf(data().training.map((each) => JSON.stringify(each)));
  const bound = size.exampleCount < FEW_ROWS ? {} : { max_steps: models[model].maxSteps };
  return resolveTraining({
    peft: parsePeftConfig(peftOf(row)),
    training: { ...bound, ...row.training, eval_steps: 1_000_000 },
    ...size,
    model: await outline(model, type),
  });
}

/** Of more steps than trials may have: it says how long runs learn, and nothing of the values that the others try. */
export function isLongRun({ task: name, steps }: Pick<Result, 'task' | 'steps'>): boolean {
  const task = tasks[name]!;
  return steps > models[task.model].maxSteps && task.data().training.length >= FEW_ROWS;
}

/** The row with automatic values. */
export async function automaticTrial(row: Row): Promise<Trial> {
  const { learning_rate, n_epochs, batch_size } = await resolved(row);
  const { task, method, options } = row;
  return { task, method, options, learning_rate, n_epochs, batch_size };
}

/** What a row lacks: the automatic rate, then one on either side of the best. Null: nothing. */
export async function nextTrial(row: Row, results: readonly Result[]): Promise<Trial | null> {
  const automatic = await automaticTrial(row);
  if (!resultOf(automatic, results)) return automatic;
  if (row.apart === null) return null;
  const rates = resultsOfRow(automatic, results).sort((a, b) => a.learning_rate - b.learning_rate);
  const best = rates.reduce((a, b) => (lossOf(b) < lossOf(a) ? b : a));
  const at = rates.indexOf(best);
  const far = (a: Result | undefined, b: Result | undefined) =>
    !a || !b || b.learning_rate / a.learning_rate > 1.3 * row.apart!;
  const times = far(rates[at - 1], best) ? 1 / row.apart : far(best, rates[at + 1]) ? row.apart : null;
  if (times === null) return null;
  return { ...automatic, learning_rate: Number((best.learning_rate * times).toPrecision(2)) };
}

/** All that was measured with a trial's values but for the learning rate. */
function resultsOfRow({ learning_rate: _, ...trial }: Trial, results: readonly Result[]): Result[] {
  return results.filter((result) =>
    Object.entries(trial).every(([key, value]) => isDeepStrictEqual(result[key as keyof Trial], value)),
  );
}

const outlines = new Map<string, Promise<ModelOutline>>();

/** Of config.json alone. */
function outline(model: ModelName, type: Task['type']): Promise<ModelOutline> {
  const key = `${model} ${type}`;
  const made = outlines.get(key) ?? readOutline(model, type);
  outlines.set(key, made);
  return made;
}

async function readOutline(model: ModelName, type: Task['type']): Promise<ModelOutline> {
  const base = await openBaseModel(await packagedModel(model));
  const { config } = base;
  await base.close();
  return outlineOf(config, type);
}
