/** Receives the rows of a data file, in order. A method may throw, which ends the reading with that error. */
export interface RowSink {
  /** Called first, when the kind of the file is known. */
  begin(container: Container): void;
  /** For a table: names of its columns, before the first row; returns those that are used. Throws GraftError if they cannot be. */
  columns(names: readonly string[]): ReadonlySet<string>;
  /** For a table: a column that is not used and so not read, with about the number of its values. */
  unused?(column: string, values: number): void;
  /**
   * A row: its number from 1 and its JSON value. `checksText`: its strings may contain what valid UTF-8 cannot, such as a lone
   * surrogate from a `\u` escape.
   */
  row(number: number, value: unknown, checksText: boolean): void;
  /** A row that cannot be read, and why: "is not valid JSON". */
  bad(number: number, fault: string): void;
}

/** Reads a file whose bytes arrive in order, split anywhere. */
export interface ByteReader {
  write(chunk: Uint8Array): void;
  end(): void;
}

export interface RandomAccess {
  bytes: number;
  /** At most `length` bytes from `at` on; fewer at the end of the file. */
  read(at: number, length: number): Promise<Uint8Array>;
}

/** Start of a file: at most `START_BYTES` of its content, decompressed, without a byte order mark. */
export interface FileStart {
  bytes: Uint8Array;
  /** The same as text, without its last, perhaps incomplete, line unless `isWhole`. */
  text: string;
  /** True if the file ends here. */
  isWhole: boolean;
}

/**
 * A kind of data file. `containers.ts` lists all; everything that depends on the kind of a file is defined here. Kinds are recognised by
 * content, in the order of the list. Either `stream` or `readFile` is defined.
 *
 * Errors of the file as a whole are thrown as GraftError `invalid_jsonl`, with line and column; those of a row go to `RowSink.bad`.
 */
export interface Container {
  /** Name in reports: `jsonl`. */
  name: string;
  /** For people: "JSON lines". */
  title: string;
  /** Unit of counts in messages: lines of the file, or rows of a table. */
  unit: 'line' | 'row' | 'item';
  sample: string;
  /** Types of values: cells of a CSV file are always text, and contain lists as JSON. */
  cells: 'typed' | 'text';
  /** How it is recognised, for the documentation. */
  recognised: string;
  matches(start: FileStart): boolean;
  /** A kind that is read from start to end. */
  stream?(sink: RowSink, start: FileStart): ByteReader;
  /** A kind of which parts are read. `readPart`: reads the rows of a file within it. */
  readFile?(...args: [...Parameters<ReadFile>, readPart: ReadFile]): Promise<void>;
}

/** Reads the rows of a file. `onPosition` is called with the number of bytes that are no longer needed, in ascending order. */
export type ReadFile = (
  file: RandomAccess,
  sink: RowSink,
  onPosition: (bytes: number) => Promise<void>,
) => Promise<void>;
