import type { DecodedArray, FileMetaData, RowGroup, SchemaTree } from 'hyparquet';
import { assembleNested } from 'hyparquet/src/assemble.js';
import { getTreePath } from 'hyparquet/src/schema.js';
import { GraftError } from '../../../errors.ts';
import type { Container, RandomAccess, RowSink } from '../container.ts';
import { isBomb, MAX_LINE_BYTES } from '../limits.ts';
import { badParquet, reasonOf } from './bad-parquet.ts';
import { ColumnPages, parsers } from './column-pages.ts';
import { hasMagic, readFooter } from './footer.ts';
import { jsonOf } from './json-of.ts';

/** Approximate bytes of a row beside its texts. */
const ROW_BYTES = 16;

/** Apache Parquet, the format of data sets on the Hub: columns in row groups, which are read page by page. */
export const parquet: Container = {
  name: 'parquet',
  title: 'Parquet',
  unit: 'row',
  sample: 'PAR1…',
  cells: 'typed',
  recognised: 'begins with `PAR1`',
  matches: ({ bytes }) => hasMagic(bytes),
  readFile: readParquet,
};

async function readParquet(
  file: RandomAccess,
  sink: RowSink,
  onPosition: (bytes: number) => Promise<void>,
): Promise<void> {
  const { metadata, schema } = await readFooter(file);
  const used = sink.columns(schema.children.map(({ element }) => element.name));
  const columns = schema.children.filter(({ element }) => used.has(element.name));
  const counter = { row: 0, bytes: 0 };
  for (const group of metadata.row_groups) {
    for (const { element } of schema.children)
      if (!used.has(element.name)) sink.unused?.(element.name, valuesIn(group, element.name));
    await readGroup(file, sink, group, { schema, columns, counter });
    await onPosition(endOf(group, file.bytes));
  }
  if (counter.row !== Number(metadata.num_rows))
    throw badParquet(`it has ${counter.row} rows, and its footer names ${metadata.num_rows}`);
}

/** Rows of a group with a value in a column, by its statistics; all rows if a row may have several values. */
function valuesIn({ columns, num_rows: rows }: RowGroup, name: string): number {
  const parts = columns.filter(({ meta_data: column }) => column?.path_in_schema[0] === name);
  const [column] = parts.map((part) => part.meta_data!);
  const isFlat = parts.length === 1 && column!.path_in_schema.length === 1;
  return Number(rows) - (isFlat ? Number(column!.statistics?.null_count ?? 0) : 0);
}

/** Position of the end of a row group. */
function endOf({ columns }: RowGroup, fileBytes: number): number {
  const ends = columns.map(({ meta_data: column }) =>
    column
      ? Number(column.dictionary_page_offset || column.data_page_offset) +
        Number(column.total_compressed_size)
      : 0,
  );
  return Math.min(fileBytes, Math.max(0, ...ends));
}

interface Table {
  schema: SchemaTree;
  /** The columns that are used. */
  columns: readonly SchemaTree[];
  /** Rows so far, and their approximate size. */
  counter: { row: number; bytes: number };
}

/** Rows of a column that are decoded, and not yet used. */
interface Queue {
  pages: ColumnPages;
  rows: DecodedArray;
  isLast: boolean;
}

/** Reads pages of all columns side by side: each row group may be as large as the file. */
async function readGroup(
  file: RandomAccess,
  sink: RowSink,
  group: FileMetaData['row_groups'][number],
  { schema, columns, counter }: Table,
): Promise<void> {
  const firstRow = counter.row;
  const wanted = Number(group.num_rows);
  let queues: Queue[];
  try {
    queues = openColumns(file, group, schema, columns);
  } catch (error) {
    throw failed(error, firstRow + 1);
  }
  const used = new Set(columns);
  while (counter.row - firstRow < wanted) {
    let rows = Number.POSITIVE_INFINITY;
    for (const queue of queues) {
      while (queue.rows.length === 0 && !queue.isLast) await fill(queue, counter.row + 1);
      rows = Math.min(rows, queue.rows.length);
    }
    if (rows === 0 || rows === Number.POSITIVE_INFINITY)
      throw failed(
        Error(`a row group ends after ${counter.row - firstRow} of ${wanted} rows`),
        counter.row + 1,
      );
    rows = Math.min(rows, wanted - (counter.row - firstRow));
    const data = new Map<string, DecodedArray>();
    for (const queue of queues) {
      data.set(queue.pages.path, queue.rows.length === rows ? queue.rows : queue.rows.slice(0, rows));
      queue.rows = queue.rows.length === rows ? [] : queue.rows.slice(rows);
    }
    let tables: [string, DecodedArray][];
    try {
      tables = [...used].map((column): [string, DecodedArray] => {
        if (column.children.length > 0) assembleNested(data, column, parsers);
        return [column.element.name, data.get(column.element.name) ?? []];
      });
    } catch (error) {
      throw failed(error, counter.row + 1);
    }
    for (let i = 0; i < rows; i++) takeRow(sink, tables, i, counter, file.bytes);
  }
}

function openColumns(
  file: RandomAccess,
  { columns: chunks }: RowGroup,
  schema: SchemaTree,
  columns: readonly SchemaTree[],
): Queue[] {
  const names = new Set(columns.map(({ element }) => element.name));
  const queues: Queue[] = [];
  for (const { meta_data: column, file_path } of chunks) {
    if (!column || file_path) throw new Error('its data is in another file');
    if (!names.has(column.path_in_schema[0] ?? '')) continue;
    const pages = new ColumnPages(file, column, getTreePath(schema, column.path_in_schema));
    queues.push({ pages, rows: [], isLast: false });
  }
  return queues;
}

async function fill(queue: Queue, row: number): Promise<void> {
  try {
    const rows = await queue.pages.next();
    if (rows === null) queue.isLast = true;
    else queue.rows = rows;
  } catch (error) {
    throw failed(error, row);
  }
}

function takeRow(
  sink: RowSink,
  tables: readonly [string, DecodedArray][],
  i: number,
  counter: Table['counter'],
  fileBytes: number,
): void {
  const row = ++counter.row;
  const value: Record<string, unknown> = {};
  const size = { bytes: ROW_BYTES };
  for (const [name, values] of tables) {
    const cell = jsonOf(values[i], size);
    if (cell !== null && cell !== undefined) value[name] = cell;
  }
  counter.bytes += size.bytes;
  if (isBomb(counter.bytes, fileBytes))
    throw badParquet(`its first ${row} rows have ${counter.bytes} bytes, far more than the file`);
  if (size.bytes > MAX_LINE_BYTES) sink.bad(row, `is longer than ${MAX_LINE_BYTES} bytes`);
  else sink.row(row, value, false);
}

/** What the library throws for damaged data may be of any type. */
function failed(error: unknown, row: number): GraftError {
  if (error instanceof GraftError) return error;
  return badParquet(`the data from row ${row} on is damaged${reasonOf(error)}`);
}
