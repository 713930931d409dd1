import type { Paint } from './paint.ts';
import { printable } from './printable.ts';

/** A table whose columns are as wide as the widest cell, two spaces apart. `empty`: returned if there are no rows. */
export function table(headings: string[], content: string[][], paint: Paint, empty: string): string {
  const rows = content.map((row) => row.map(oneLine));
  if (rows.length === 0) return empty;
  const widths = headings.map((heading, i) => Math.max(heading.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: string[]) =>
    cells
      .map((cell, i) => (i === cells.length - 1 ? cell : cell.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd();
  return [paint.dim(line(headings)), ...rows.map(line)].join('\n');
}

/** Names and values, one pair per line. */
export function fields(entries: [name: string, value: string | null][], paint: Paint): string {
  const shown = entries.filter((entry): entry is [string, string] => entry[1] !== null);
  const width = Math.max(...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => `${paint.dim(name.padEnd(width))}  ${oneLine(value)}`).join('\n');
}

const oneLine = (text: string): string => printable(text.replaceAll(/[\n\t]/g, ' '));
