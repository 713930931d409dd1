import { GraftError } from '../../errors.ts';
import { isRecord, show } from '../../schema/check-fields.ts';
import type { Line } from '../formats/fields.ts';

/** Which column of a file each field is in: `{"prompt": "question", "completion": "answer"}`. Other columns are ignored. */
export type ColumnMapping = Readonly<Record<string, string>>;

const MAX_COLUMNS = 16;
const MAX_NAME = 200;

/** Checks a mapping that a user gives. Throws GraftError `invalid_columns` with `param`. */
export function parseColumns(value: unknown, param = 'columns'): ColumnMapping {
  const fault = (message: string) => new GraftError('invalid_columns', `${param}: ${message}`, { param });
  if (!isRecord(value)) throw fault(`must be an object such as {"prompt": "question"}, got ${show(value)}`);
  const entries = Object.entries(value);
  if (entries.length === 0 || entries.length > MAX_COLUMNS)
    throw fault(`must have 1 to ${MAX_COLUMNS} entries, got ${entries.length}`);
  for (const [field, column] of entries) {
    if (typeof column !== 'string' || column === '' || column.length > MAX_NAME || field.length > MAX_NAME)
      throw fault(
        `${show(field)} must be the name of a column, of 1 to ${MAX_NAME} characters, got ${show(column)}`,
      );
  }
  return value as ColumnMapping;
}

/**
 * A row with only the fields of a mapping, or its fault. A row without the column may have the field itself: one mapping applies to all
 * files of a job.
 */
export function mapColumns(row: Line, columns: ColumnMapping): Line | string {
  const mapped: Record<string, unknown> = {};
  for (const [field, column] of Object.entries(columns)) {
    const name = Object.hasOwn(row, column) ? column : field;
    if (Object.hasOwn(row, name)) mapped[field] = row[name];
  }
  return Object.keys(mapped).length > 0
    ? mapped
    : `has no column ${Object.values(columns).map(show).join(', ')}, which "columns" names`;
}

/** Throws GraftError `invalid_columns` if a table lacks a column of the mapping. */
export function checkColumns(names: readonly string[], columns: ColumnMapping): void {
  for (const [field, column] of Object.entries(columns)) {
    if (names.includes(column) || names.includes(field)) continue;
    throw new GraftError(
      'invalid_columns',
      `columns.${field}: the file has no column ${show(column)}; it has ${listed(names)}`,
      { param: 'columns' },
    );
  }
}

/** Names for a message. */
export function listed(names: readonly string[]): string {
  const shown = names.slice(0, 12).map(show).join(', ');
  return names.length > 12 ? `${shown} and ${names.length - 12} more` : shown;
}
