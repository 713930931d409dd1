import type { Line } from './formats/fields.ts';
import type { ColumnMapping } from './shapes/columns.ts';

export interface UnreadColumn {
  name: string;
  /** Rows with a value in it, which are examples. */
  values: number;
}

/** Maximum number of columns that are counted: rows of JSON may have other names each. And of characters of a name that are kept. */
const MAX_COLUMNS = 100;
const MAX_NAME = 200;

/** Columns by which one row was read. */
interface ReadBy {
  /** Columns of its format or shape. */
  columns: readonly string[];
  /** Further columns that were read. */
  judged: readonly string[];
  /** Those of `columns` that were not. */
  unread: readonly string[];
}

/** Counts the values of columns that were not read, in bounded memory. */
export class UnreadColumns {
  readonly #mapping: readonly [field: string, column: string][] | null;
  readonly #values = new Map<string, number>();
  readonly #sets = new Map<readonly string[], ReadonlySet<string>>();

  /** With a mapping, columns that it does not name are not read. */
  constructor(mapping: ColumnMapping | null) {
    this.#mapping = mapping && Object.entries(mapping);
  }

  /** `row`: as in the file; `line`: its fields. */
  add(row: Line, line: Line, { columns, judged, unread }: ReadBy): void {
    let read = this.#sets.get(columns);
    if (!read) {
      read = new Set([...columns, 'weight']);
      this.#sets.set(columns, read);
    }
    const isRead = (field: string) =>
      (read.has(field) || judged.includes(field)) && line[field] !== undefined && !unread.includes(field);
    for (const column in row) {
      const isUnread = this.#mapping ? !this.#fieldsOf(column, row).some(isRead) : !isRead(column);
      if (isUnread && hasValue(row[column])) this.count(column, 1);
    }
  }

  /** The fields that a column of a row was read as. */
  #fieldsOf(column: string, row: Line): string[] {
    // A row without the column of a mapping may have the field itself.
    return this.#mapping!.flatMap(([field, from]) =>
      from === column || (field === column && !Object.hasOwn(row, from)) ? [field] : [],
    );
  }

  count(column: string, values: number): void {
    const name = Buffer.from(column.slice(0, MAX_NAME).replaceAll('\0', '\ufffd')).toString();
    const before = this.#values.get(name);
    if (before !== undefined || this.#values.size < MAX_COLUMNS)
      this.#values.set(name, (before ?? 0) + values);
  }

  list(): UnreadColumn[] {
    return Array.from(this.#values, ([name, values]) => ({ name, values }));
  }
}

const hasValue = (value: unknown): boolean =>
  value !== undefined && value !== null && value !== '' && !(Array.isArray(value) && value.length === 0);
