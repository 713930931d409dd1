import type { Paint } from '../draw/paint.ts';
import { timestamp } from '../draw/quantities.ts';
import { table } from '../draw/table.ts';
import { CommandError } from '../errors.ts';
import { createOutput } from '../output.ts';
import type { VerbOptions } from '../verb.ts';

/** What a verb of `graft admin` prints. */
export interface Answer {
  /** With --json. */
  value: unknown;
  /** Without. */
  text: string | ((paint: Paint) => string);
  /** On stderr, after the result. */
  note?: string;
  /** Printed after the result, which is a failure: exit code 1. */
  failure?: string | undefined;
}

export function printAnswer(options: VerbOptions, { value, text, note, failure }: Answer): void {
  const output = createOutput(options);
  output.result(value, () => (typeof text === 'string' ? text : text(output.paint)));
  if (note !== undefined) output.note(note);
  if (failure !== undefined) throw new CommandError(failure);
}

/** By heading: the name of a field, or what computes the cell. */
export type Columns<T> = Record<string, (keyof T & string) | ((row: T) => string)>;

/** Rows as a table. `empty`: printed instead of a table without rows. */
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

/** A cell for a time that may not have come. */
export const time = (seconds: number | null): string => (seconds === null ? 'never' : timestamp(seconds));
