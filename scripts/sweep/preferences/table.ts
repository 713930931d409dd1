import { plainTable } from '../../methods/markdown-table.ts';
import { accuracyOf, faultOf, hasDefaults, isCounted, keptMeasure, type PreferenceVerdict } from './check.ts';
import { automaticShare } from './grid.ts';
import type { PreferenceResult, Start, StartResult } from './results.ts';

/** A line a task and method, a column a share of the rate: accuracy of held-out pairs, and what is kept of supervised training. */
export function sharesTable(verdicts: readonly PreferenceVerdict[], start: Start): string {
  const own = verdicts.filter((verdict) => verdict.start === start);
  const shares = [...new Set(own.flatMap(({ rates }) => rates.map(({ share }) => share)))].sort(
    (a, b) => a - b,
  );
  const head = ['task', 'use', 'method', 'before', ...shares.map(String), 'at `auto`'];
  return plainTable(
    head,
    own.map((verdict) => {
      const { task, use, method, before, rates } = verdict;
      const cells = shares.map((share) => {
        const result = rates.find((each) => each.share === share);
        if (!result) return '';
        const cell = `${percent(accuracyOf(result))}, ${keptText(result, before)}`;
        return share === automaticShare(method, before) ? `**${cell}**` : cell;
      });
      const seed = rates[0]!.seed === 42 ? '' : `, seed ${rates[0]!.seed}`;
      return [task, use, `${method}${seed}`, keptText(before, before), ...cells, faultOf(verdict) ?? 'holds'];
    }),
  );
}

const percent = (share: number) => `${Math.round(100 * share)} %`;

const keptText = (line: StartResult | PreferenceResult, before: StartResult): string =>
  isCounted(before) ? `${line.right} of ${line.pairs}` : keptMeasure(line, before).toPrecision(2);

/** Runs that differ from a job without options in beta, epochs or seed, beside the one that does not. */
export function optionsTable(results: readonly PreferenceResult[]): string {
  const isAsked = (result: PreferenceResult) =>
    results.some(
      (each) =>
        !hasDefaults(each) &&
        each.task === result.task &&
        each.method === result.method &&
        each.start === result.start &&
        each.share === result.share &&
        each.data === result.data,
    );
  const rows = results.filter(isAsked).map((result) => {
    const { task, start, preference, n_epochs, steps, seed } = result;
    const { margin, right, pairs, logp } = result;
    return [
      task,
      start,
      String(preference.beta ?? 0.1),
      n_epochs ?? 'automatic',
      steps,
      seed,
      percent(accuracyOf(result)),
      margin!.toFixed(2),
      right === null ? '' : `${right} of ${pairs}`,
      Math.exp(logp).toPrecision(2),
    ];
  });
  const head = [
    'task',
    'start',
    'beta',
    'epochs',
    'steps',
    'seed',
    'accuracy',
    'margin',
    'right',
    'probability per token',
  ];
  return plainTable(
    head,
    rows.toSorted((a, b) => `${a[0]} ${a[1]}`.localeCompare(`${b[0]} ${b[1]}`)),
  );
}
