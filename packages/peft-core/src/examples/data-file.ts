import type { OnBadLines } from '../config/index.ts';
import { type FileKind, RowReader, readRows } from './containers/read-rows.ts';
import type { RawExample } from './formats/formats.ts';
import { type DatasetSummary, RowChecker, type RowListener } from './row-checker.ts';
import type { ColumnMapping } from './shapes/columns.ts';
import type { UnreadColumn } from './unread-columns.ts';

/** Recognised kind and format of a data file. */
export interface Recognised extends FileKind {
  /** Name of the shape of its rows; null: those of a format. */
  shape: string | null;
  /** The mapping that was applied; null: none. */
  columns: ColumnMapping | null;
}

export interface DataFileSummary extends DatasetSummary {
  recognised: Recognised;
}

/** Checks a data file of any kind whose bytes arrive in order, such as an upload. */
export interface DataFileChecker {
  /** Adds the next bytes of the file, split anywhere. Throws as `end` does where the file as a whole cannot be read. */
  write(chunk: Uint8Array): Promise<void>;
  /**
   * All bytes were added. For a kind that is read once the file is complete: the path of a temporary file with it, valid until `close`,
   * which `checkDataFile` can read elsewhere instead of `end`. Null for other kinds. Throws as `end` does.
   */
  finish(): Promise<string | null>;
  /** Throws GraftError `invalid_jsonl` with every bad row, `unknown_file_kind`, `unknown_shape`, `invalid_columns`, or `empty_file`. */
  end(): Promise<DataFileSummary>;
  /** Known properties of the file so far. */
  recognised(): Recognised | null;
  /** Returns true if the bytes go to a temporary file, because the kind is read once the file is complete. False until the kind is known. */
  spools(): boolean;
  unread(): UnreadColumn[];
  /** Frees what an unfinished file holds. */
  close(): void;
}

export function createDataFileChecker(
  listener: RowListener = {},
  columns: ColumnMapping | null = null,
  onBadLines: OnBadLines = 'fail',
): DataFileChecker {
  const checker = new RowChecker(listener, columns, onBadLines);
  const reader = new RowReader(checker);
  const recognised = () => reader.kind && { ...reader.kind, shape: checker.shape, columns };
  return {
    write: async (chunk) => await reader.write(chunk),
    finish: async () => await reader.finish(),
    async end() {
      await reader.end();
      return { ...checker.end(), recognised: recognised()! };
    },
    recognised,
    spools: () => reader.spools,
    unread: () => checker.unread(),
    close: () => reader.close(),
  };
}

/**
 * Checks a local data file of any kind; the memory that it needs does not grow with the file. `onBytes` receives all its bytes in order.
 * Throws as DataFileChecker.end does.
 */
export async function checkDataFile(
  path: string,
  listener: RowListener & { onBytes?: (chunk: Uint8Array) => void } = {},
  columns: ColumnMapping | null = null,
  onBadLines: OnBadLines = 'fail',
): Promise<DataFileSummary> {
  const checker = new RowChecker(listener, columns, onBadLines);
  const kind = await readRows(path, checker, listener);
  return { ...checker.end(), recognised: { ...kind, shape: checker.shape, columns } };
}

/** All examples of a local data file. Throws as `checkDataFile`. */
export async function readDataFile(
  path: string,
  columns: ColumnMapping | null = null,
  onBadLines: OnBadLines = 'fail',
): Promise<Omit<DataFileSummary, 'examples'> & { examples: RawExample[] }> {
  const examples: RawExample[] = [];
  const summary = await checkDataFile(
    path,
    { onExample: (example) => examples.push(example) },
    columns,
    onBadLines,
  );
  return { ...summary, examples };
}
