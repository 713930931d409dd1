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

/** Values by name: text, several lines, or null or undefined, which is left out. */
export type Fields = Record<string, string | readonly string[] | null | undefined>;

/** Names and values, one pair per line. */
export function fields(values: Fields, paint: Paint): string {
  const lines = Object.entries(values).flatMap(([name, value]) =>
    [value ?? []].flat().map((text, i) => ({ name: i === 0 ? name : '', text })),
  );
  const width = Math.max(...lines.map(({ name }) => name.length));
  return lines.map(({ name, text }) => `${paint.dim(name.padEnd(width))}  ${oneLine(text)}`).join('\n');
}

const oneLine = (text: string): string => printable(text.replaceAll(/[\n\t]/g, ' '));
