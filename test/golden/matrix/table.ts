import { appendFileSync } from 'node:fs';
import { type ArchitectureRow, architectures } from './architectures.ts';
import { cellName } from './cells.ts';
import { exceptions } from './exceptions.ts';
import { type MethodRow, methods } from './methods.ts';
import { type Rule, ruleAgainst } from './rules.ts';

/** The content of a cell that other runs test. */
const notTried = '·';

/** Results by cell and check; a check that is missing was not made. */
export type Results = Map<string, Map<string, boolean>>;

export function note(results: Results, cell: string, check: string, passed: boolean): void {
  const checks = results.get(cell) ?? new Map<string, boolean>();
  checks.set(check, passed);
  results.set(cell, checks);
}

/** A line for each method, a column for each architecture: checks passed of checks made, or why there are none. */
export function drawTable(
  results: Results,
  tried: readonly MethodRow[] = methods,
  reasons: Record<string, string> = exceptions,
  on: readonly ArchitectureRow[] = architectures,
): string {
  const notes: string[] = [];
  const met = new Set<Rule>();
  const rows = tried.map((method) => [
    method.name,
    ...on.map((architecture) => {
      const name = cellName(architecture, method);
      const reason = reasons[name];
      if (reason !== undefined) {
        if (!notes.includes(reason)) notes.push(reason);
        return `(${notes.indexOf(reason) + 1})`;
      }
      const rule = ruleAgainst(method, architecture);
      if (rule) {
        met.add(rule);
        return rule.mark;
      }
      const checks = results.get(name);
      if (!checks) return notTried;
      const passed = [...checks.values()].filter(Boolean).length;
      return `${passed === checks.size ? '✔' : '✖'} ${passed}/${checks.size}`;
    }),
  ]);
  const table = [['', ...on.map(({ name }) => name)], ...rows];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  const lines = table.map((row) =>
    row
      .map((text, column) => text.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  );
  return [
    ...lines,
    ...notes.map((reason, i) => `(${i + 1}) ${reason}`),
    ...[...met].map(({ mark, reason }) => `${mark} ${reason(tried, on)}`),
    ...(rows.some((row) => row.includes(notTried)) ? [`${notTried} not tried in this run`] : []),
  ].join('\n');
}

/** Appends the table of one test file to those of the run, where the runner asks for them. */
export function saveTable(text: string): void {
  const file = process.env.GRAFT_MATRIX_TABLE;
  if (file) appendFileSync(file, `${text}\n\n`);
}
