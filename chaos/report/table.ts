import { spread } from '../harness/recovery.ts';
import type { Figure } from '../harness/scenario.ts';
import { isLost, type Result, replay } from './result.ts';

const heading = ['fault', 'queue', 'tried', 'survived', 'recovery p50', 'p99', 'worst', 'minutes'];

/** The table of a run, followed by its failures and how to repeat them. */
export function summary(results: Result[]): string {
  const rows = [heading, ...results.map(cells)];
  const widths = heading.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => (column < 2 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd(),
  );
  const measured = results.flatMap((result) =>
    result.figures.length === 0
      ? []
      : [`${result.title} (${result.queue}): ${result.figures.map(figureText).join(', ')}`],
  );
  const failed = results
    .filter(isLost)
    .flatMap((result) => [
      `✖ ${result.title} (${result.queue}), seed ${result.seed}, logs in ${result.logs}`,
      ...result.failures.slice(0, 12).map(({ oracle, detail }) => `    ${oracle}: ${detail}`),
      `    again: ${replay(result)}`,
    ]);
  return [lines.join('\n'), measured.join('\n'), failed.join('\n')].filter(Boolean).join('\n\n');
}

function cells(result: Result): string[] {
  const { title, queue, tried, survived, recoveries, seconds, missing } = result;
  const minutes = (seconds / 60).toFixed(1);
  if (missing.length > 0) return [title, queue, 'left out', `no ${missing.join(', ')}`, '', '', '', minutes];
  const times = spread(recoveries);
  const shown = (milliseconds: number | undefined) =>
    milliseconds === undefined ? '' : `${(milliseconds / 1000).toFixed(1)} s`;
  return [
    title,
    queue,
    String(tried),
    String(survived),
    shown(times?.p50),
    shown(times?.p99),
    shown(times?.worst),
    minutes,
  ];
}

export function figureText({ name, value, unit, most }: Figure): string {
  const number = Number.isInteger(value) ? String(value) : value.toFixed(value < 10 ? 2 : 0);
  const limit = most === undefined ? '' : ` (${value <= most ? 'at most' : 'OVER'} ${most} ${unit})`;
  return `${name} ${number} ${unit}${limit}`.replace(/ +(?=$|\()/g, ' ').trim();
}
