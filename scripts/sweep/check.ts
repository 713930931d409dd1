/** Whether automatic training is as good as the best that the sweep has found, by what was measured alone. */
import { defaultMethod } from '../demo/options.ts';
import { plainTable } from '../methods/markdown-table.ts';
import { automaticTrial, grid, isLongRun } from './grid.ts';
import { lossOf, type Result, resultOf, type Trial } from './results.ts';
import { digestOf, tasks } from './tasks.ts';

export interface Verdict {
  task: string;
  method: string;
  use: 'rule' | 'held out';
  automatic: Trial;
  /** With automatic values; null: such a trial was not made, or was of other rows. */
  loss: number | null;
  /** Of all trials of this method on this task. */
  best: Result;
}

/** How much more than the best an automatic loss may be, and on how many tasks at least. */
const bounds = {
  [defaultMethod]: { ratio: 1.05, misses: 1 },
  others: { ratio: 1.15, misses: 0 },
};

/** Of the grid, those of automatic values alone: a pair of task and method each. */
const plainRows = grid.filter(
  ({ options, training }) => Object.keys({ ...options, ...training }).length === 0,
);

/** Pairs of which nothing was measured. */
export function untried(results: readonly Result[]): string[] {
  return plainRows
    .filter((row) => !results.some(({ task, method }) => task === row.task && method === row.method))
    .map(({ task, method }) => `${task}/${method}`);
}

export async function verdictsOn(results: readonly Result[]): Promise<Verdict[]> {
  const current = results.filter(({ task, data }) => data === digest(task));
  const verdicts: Verdict[] = [];
  for (const row of plainRows) {
    const { task, method } = row;
    const tried = current.filter(
      (result) => result.task === task && result.method === method && !isLongRun(result),
    );
    if (tried.length === 0) continue;
    const automatic = await automaticTrial(row);
    const best = tried.reduce((a, b) => (lossOf(b) < lossOf(a) ? b : a));
    const loss = resultOf(automatic, current)?.loss ?? null;
    verdicts.push({ task, method, use: tasks[task]!.use, automatic, loss, best });
  }
  return verdicts;
}

const digests = new Map<string, string>();
function digest(task: string): string {
  const made = digests.get(task) ?? digestOf(tasks[task]!);
  digests.set(task, made);
  return made;
}

export const ratioOf = ({ loss, best }: Verdict): number => (loss ?? Number.NaN) / lossOf(best);

const boundOf = ({ method }: Verdict) => (method === defaultMethod ? bounds[defaultMethod]! : bounds.others);
const isNear = (verdict: Verdict): boolean => ratioOf(verdict) <= boundOf(verdict).ratio;

/** The automatic loss as a multiple of the best. */
const ratioText = (verdict: Verdict) => (verdict.loss === null ? 'not tried' : ratioOf(verdict).toFixed(2));

/** What does not hold on the tasks that are held out, a line each. */
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

/** What the best has besides its rate. */
function others({ options, n_epochs, batch_size, steps }: Result): string {
  const given = Object.entries(options).map(([name, value]) => `, ${name} ${value}`);
  return `${given.join('')}, ${steps} steps of ${batch_size}${n_epochs === 3 ? '' : `, ${n_epochs} epochs`}`;
}
