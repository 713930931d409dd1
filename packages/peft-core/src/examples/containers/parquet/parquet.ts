import {
  type DecodedArray,
  type FileMetaData,
  parquetMetadata,
  parquetSchema,
  type RowGroup,
  type SchemaTree,
} from 'hyparquet';
import { assembleNested } from 'hyparquet/src/assemble.js';
import { getTreePath } from 'hyparquet/src/schema.js';
import { GraftError } from '../../../errors.ts';
import type { Container, RandomAccess, RowSink } from '../container.ts';
import { isBomb, MAX_LINE_BYTES } from '../limits.ts';
import { ColumnPages, parsers } from './column-pages.ts';

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

/** Fault of a row. The library throws values of any type for damaged data. */
function failed(error: unknown, row: number): GraftError {
  if (error instanceof GraftError) return error;
  return badParquet(`the data from row ${row} on is damaged${reasonOf(error)}`);
}

/**
 * A value of a Parquet column as JSON; adds its approximate size to `size`. A struct has every field of the column: those that are null
 * are left out, but for `content`, which a message has. Binary data is no text.
 */
function jsonOf(value: unknown, size: { bytes: number }): unknown {
  if (typeof value === 'string') {
    size.bytes += value.length;
    return value;
  }
  size.bytes += 8;
  if (value === null || value === undefined || typeof value === 'number' || typeof value === 'boolean')
    return value;
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof Uint8Array) return { binary: value.length };
  if (Array.isArray(value) || ArrayBuffer.isView(value))
    return Array.from(value as unknown as ArrayLike<unknown>, (each) => jsonOf(each, size));
  const fields: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(value as object)) {
    const json = jsonOf(field, size);
    if ((json !== null && json !== undefined) || name === 'content') fields[name] = json ?? null;
  }
  return fields;
}

/** 1,000 row groups of ten columns need about 2 MB. */
const MAX_FOOTER_BYTES = 32 * 1024 * 1024;
const MAX_COLUMNS = 10_000;
const MAX_DEPTH = 32;
const TAIL_BYTES = 8;

const MAGIC = [0x50, 0x41, 0x52, 0x31];
const hasMagic = (bytes: Uint8Array, at = 0): boolean => MAGIC.every((byte, i) => bytes[at + i] === byte);

/** The schema and the places of a file's columns, from its end. Throws GraftError. */
async function readFooter(file: RandomAccess): Promise<{ metadata: FileMetaData; schema: SchemaTree }> {
  const tail = await file.read(Math.max(0, file.bytes - TAIL_BYTES), TAIL_BYTES);
  if (file.bytes < 2 * TAIL_BYTES || !hasMagic(tail, 4))
    throw badParquet('it does not end with PAR1; it may be cut off');
  const length = Buffer.from(tail).readUInt32LE(0);
  if (length > file.bytes - 12) throw badParquet(`its footer has ${length} bytes, more than the file`);
  if (length > MAX_FOOTER_BYTES)
    throw badParquet(`its footer has ${length} bytes; at most ${MAX_FOOTER_BYTES} are supported`);
  const footer = await file.read(file.bytes - TAIL_BYTES - length, length + TAIL_BYTES);
  try {
    // A copy: the library reads from the start of the memory.
    const metadata = parquetMetadata(Uint8Array.from(footer).buffer, { geoparquet: false });
    if (metadata.schema.length > MAX_COLUMNS) throw Error(`it has ${metadata.schema.length} columns`);
    const schema = parquetSchema(metadata);
    if (depthOf(schema) > MAX_DEPTH) throw Error(`its columns nest deeper than ${MAX_DEPTH} levels`);
    return { metadata, schema };
  } catch (error) {
    throw badParquet(`its footer is damaged${reasonOf(error)}`);
  }
}

function depthOf({ children }: SchemaTree): number {
  return 1 + Math.max(0, ...children.map(depthOf));
}

/** Message of an error of the library; anything else that it throws for damaged data means nothing to a user. */
const reasonOf = (error: unknown): string =>
  error instanceof Error && error.constructor === Error ? `: ${error.message}` : '';

const badParquet = (reason: string): GraftError =>
  new GraftError('invalid_jsonl', `this Parquet file cannot be read: ${reason.slice(0, 300)}`);
