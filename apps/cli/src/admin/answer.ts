import type { Paint } from '../draw/paint.ts';
import { timestamp } from '../draw/quantities.ts';
import { table } from '../draw/table.ts';
import { CommandError } from '../errors.ts';
import { createOutput } from '../output.ts';
import type { VerbOptions } from '../verb.ts';

/** The output of a verb of `graft admin`. */
export interface Answer {
  /** Printed with --json. */
  value: unknown;
  /** Printed without --json. */
  text: string | ((paint: Paint) => string);
  /** Printed on stderr after the result. */
  note?: string;
  /** An error message: printed after the result, with exit code 1. */
  failure?: string | undefined;
}

export function printAnswer(options: VerbOptions, { value, text, note, failure }: Answer): void {
  const output = createOutput(options);
  output.result(value, () => (typeof text === 'string' ? text : text(output.paint)));
  if (note !== undefined) output.note(note);
  if (failure !== undefined) throw new CommandError(failure);
}

/** Columns by heading: the name of a field, or a function that computes the cell. */
export type Columns<T> = Record<string, (keyof T & string) | ((row: T) => string)>;

/** Creates a table from rows. `empty`: printed instead of a table without rows. */
export function listed<T extends object>(data: T[], columns: Columns<T>, empty: string): Answer {
  const cells = Object.values(columns).map((column) =>
    typeof column === 'function' ? column : (row: T) => String(row[column]),
  );
  const rows = data.map((row) => cells.map((cell) => cell(row)));
  return {
    value: { object: 'list', data },
    text: (paint) => table(Object.keys(columns), rows, paint, empty),
  };
}

/** Formats a time; `never` where there is none. */
export const time = (seconds: number | null): string => (seconds === null ? 'never' : timestamp(seconds));
