import type { PageList } from '@graft/client';
import type { Paint } from '../draw/paint.ts';
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

/** Rows as a table, whose columns are computed from a row. `empty`: printed instead of a table without rows. */
export async function listed<T extends { id: string }>(
  list: PageList<T> | T[],
  columns: Record<string, (row: T) => string>,
  empty: string,
): Promise<Answer> {
  const data = Array.isArray(list) ? list : await list.toArray();
  const rows = data.map((row) => Object.values(columns).map((cell) => cell(row)));
  return {
    value: { object: 'list', data },
    text: (paint) => table(Object.keys(columns), rows, paint, empty),
  };
}
