import { type FileHandle, open } from 'node:fs/promises';
import { type ErrorDetail, GraftError } from '../errors.ts';
import type { Container } from '../examples/containers/container.ts';
import { MAX_LINE_BYTES } from '../examples/containers/limits.ts';
import { checkDataFile } from '../examples/data-file.ts';
import type { RawExample } from '../examples/formats/formats.ts';
import { createJsonlChecker, type JsonlChecker } from '../examples/jsonl.ts';
import type { ColumnMapping } from '../examples/shapes/columns.ts';
import type { UnreadColumn } from '../examples/unread-columns.ts';

/** Files up to this size are read completely. */
const WHOLE_BYTES = 16 * 1024 * 1024;
/** Larger files of JSON lines are sampled: this many blocks, evenly spaced, with the lines that start in each. */
const BLOCKS = 256;
const BLOCK_BYTES = 64 * 1024;
/** Lines may be far longer than a block: after this many bytes the remaining blocks are skipped. */
const MAX_BYTES = 24 * 1024 * 1024;
const NEWLINE = 0x0a;

export interface FileSample {
  /** In no particular order, but the first ones are spread over the file, too. */
  examples: RawExample[];
  /** True if all lines were read. */
  isWhole: boolean;
  /** Size of the file in bytes. */
  bytes: number;
  /** Total bytes of the lines that were read. */
  seenBytes: number;
  /** The error that lists the invalid lines; null without any. */
  fault: GraftError | null;
  badLines: number;
  unread: UnreadColumn[];
  /** Unit that the numbers of lines count. */
  unit: Container['unit'];
  /** Adds the location to a detail about a line: its number, or where that is unknown its first byte. */
  place(detail: ErrorDetail): ErrorDetail;
}

/** Reads a bounded part of a data file. Throws `empty_file` if that part contains no example. */
export async function sampleFile(path: string, columns: ColumnMapping | null = null): Promise<FileSample> {
  const file = await open(path, 'r');
  try {
    const bytes = (await file.stat()).size;
    const isLines = bytes > WHOLE_BYTES && columns === null && hasLines(await read(file, 0, BLOCK_BYTES));
    return isLines ? await sampleLines(file, bytes) : await sampleStart(path, bytes, columns);
  } finally {
    await file.close();
  }
}

/** Returns true if a file that begins with `start` is JSON lines. */
const hasLines = (start: Uint8Array): boolean =>
  /^\ufeff?\s*\{/.test(new TextDecoder().decode(start.subarray(0, 1024)));

/** Ends the reading of a file of which enough is known. */
class Enough extends Error {}

/** Reads a file from its start: all of it, or its first examples of about `MAX_BYTES`. */
async function sampleStart(path: string, bytes: number, columns: ColumnMapping | null): Promise<FileSample> {
  const examples: RawExample[] = [];
  let badLines = 0;
  let seenBytes = 0;
  let decoded = 0;
  let unit: Container['unit'] = 'line';
  const listener = {
    onContainer: (container: Container) => {
      unit = container.unit;
    },
    onExample(example: RawExample) {
      examples.push(example);
      decoded += JSON.stringify(example).length;
      if (bytes > WHOLE_BYTES && decoded > MAX_BYTES) throw new Enough();
      if (decoded > 2 * MAX_BYTES) throw new Enough();
    },
    onBadLine: () => badLines++,
    onBytes: (chunk: Uint8Array) => {
      seenBytes += chunk.length;
    },
  };
  const sample = { examples, bytes, unit, place: (detail: ErrorDetail) => detail };
  try {
    const { unread } = await checkDataFile(path, listener, columns);
    return { ...sample, unit, isWhole: true, seenBytes: bytes, fault: null, badLines, unread };
  } catch (error) {
    const rest = { unit, badLines, seenBytes: Math.max(1, seenBytes), unread: [] };
    if (error instanceof Enough) return { ...sample, ...rest, isWhole: false, fault: null };
    if (error instanceof GraftError && error.details)
      return { ...sample, ...rest, isWhole: true, seenBytes: bytes, fault: error };
    throw error;
  }
}

/** Reads lines from blocks that are spread over a large file. */
async function sampleLines(file: FileHandle, bytes: number): Promise<FileSample> {
  const examples: RawExample[] = [];
  let badLines = 0;
  const checker = createJsonlChecker(
    (example) => examples.push(example),
    () => badLines++,
  );
  /** Start of each line in the order of reading. The first block contains the file's first lines. */
  const starts: number[] = [];
  let counted = 0;
  let seenBytes = 0;
  for (const block of inSpreadOrder(BLOCKS)) {
    if (seenBytes >= MAX_BYTES) break;
    const from = Math.floor((block * (bytes - BLOCK_BYTES)) / (BLOCKS - 1));
    for (const { start, line } of await linesOf(file, from)) {
      starts.push(start);
      seenBytes += line.length + 1;
      checker.write(line);
      checker.write(Uint8Array.of(NEWLINE));
    }
    if (block === 0) counted = starts.length;
  }
  // The numbers of most lines are not known.
  const place = (detail: ErrorDetail): ErrorDetail => {
    const { line, message, count } = detail;
    if (line === undefined) return detail;
    const others = count === undefined ? {} : { count };
    if (line <= counted) return { line, message, ...others };
    return { message: `the line that begins with byte ${starts[line - 1]} ${message}`, ...others };
  };
  return { examples, isWhole: false, bytes, seenBytes, ...endOf(checker), badLines, unit: 'line', place };
}

/** The complete lines that start in the block at `from`. */
async function linesOf(file: FileHandle, from: number): Promise<{ start: number; line: Uint8Array }[]> {
  // A line starts where the preceding byte is a newline.
  const before = Math.max(0, from - 1);
  const block = await read(file, before, from - before + BLOCK_BYTES);
  const lines: { start: number; line: Uint8Array }[] = [];
  let start = from === 0 ? 0 : block.indexOf(NEWLINE) + 1;
  if (from > 0 && start === 0) return [];
  while (start < block.length) {
    const end = block.indexOf(NEWLINE, start);
    const line =
      end === -1 ? await restOf(file, before + start, block.subarray(start)) : block.subarray(start, end);
    lines.push({ start: before + start, line });
    if (end === -1) break;
    start = end + 1;
  }
  return lines;
}

/** Reads the rest of a line that starts with `beginning`, to its end or until it is too long for the checker. */
async function restOf(file: FileHandle, start: number, beginning: Uint8Array): Promise<Uint8Array> {
  const parts = [beginning];
  let length = beginning.length;
  while (length <= MAX_LINE_BYTES) {
    const next = await read(file, start + length, BLOCK_BYTES);
    const end = next.indexOf(NEWLINE);
    parts.push(end === -1 ? next : next.subarray(0, end));
    length += parts.at(-1)!.length;
    if (end !== -1 || next.length === 0) break;
  }
  return Buffer.concat(parts);
}

async function read(file: FileHandle, at: number, bytes: number): Promise<Uint8Array> {
  const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(bytes), 0, bytes, at);
  return buffer.subarray(0, bytesRead);
}

/** The numbers 0 to `count` − 1, for a power of two, with the first few spread over all: each number's bits are reversed. */
function inSpreadOrder(count: number): number[] {
  let order = [0];
  while (order.length < count) order = [...order.map((n) => 2 * n), ...order.map((n) => 2 * n + 1)];
  return order;
}

function endOf(checker: JsonlChecker): Pick<FileSample, 'fault' | 'unread'> {
  try {
    return { fault: null, unread: checker.end().unread };
  } catch (error) {
    if (error instanceof GraftError && error.details) return { fault: error, unread: [] };
    throw error;
  }
}
