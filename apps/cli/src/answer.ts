import type { Paint } from './draw/paint.ts';
import { timestamp } from './draw/quantities.ts';
import { type Columns, tableOf } from './draw/table.ts';
import { CommandError } from './errors.ts';
import { createOutput } from './output.ts';
import type { VerbOptions } from './verb.ts';

export interface Answer {
  /** Printed with --json. */
  value: unknown;
  /** Printed without --json. A function, where it reads fields that a receipt (output.ts) lacks. */
  text: string | ((paint: Paint) => string);
  /** Printed on stderr after the result. */
  note?: string | undefined;
  /** An error message: printed after the result, with exit code 1. */
  failure?: string | undefined;
}

export function printAnswer(options: VerbOptions, { value, text, note, failure }: Answer): void {
  const output = createOutput(options);
  output.result(value, () => (typeof text === 'string' ? text : text(output.paint)));
  if (note !== undefined) output.note(note);
  if (failure !== undefined) throw new CommandError(failure);
}

/** Creates a table from rows. `empty`: printed instead of a table without rows. */
export function listed<T extends object>(data: T[], columns: Columns<NoInfer<T>>, empty: string): Answer {
  return { value: { object: 'list', data }, text: (paint) => tableOf(data, columns, paint, empty) };
}

/** Formats a time; `never` where there is none. */
export const time = (seconds: number | null): string => (seconds === null ? 'never' : timestamp(seconds));
