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

/** Columns by heading: the name of a field, or a function that computes the cell. Null is an empty cell. */
export type Columns<T> = Record<string, (keyof T & string) | ((row: T) => string | null)>;

/** A table of rows. `empty`: returned if there are none. */
export const tableOf = <T extends object>(
  data: T[],
  columns: Columns<NoInfer<T>>,
  paint: Paint,
  empty: string,
): string => table(Object.keys(columns), cellsOf(data, columns), paint, empty);

export function cellsOf<T extends object>(data: T[], columns: Columns<NoInfer<T>>): string[][] {
  const cells = Object.values(columns).map((column) =>
    typeof column === 'function' ? column : (row: T) => row[column],
  );
  return data.map((row) => cells.map((cell) => String(cell(row) ?? '')));
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
