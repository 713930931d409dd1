import { type FileHandle, open } from 'node:fs/promises';
import { type ErrorDetail, GraftError } from '../errors.ts';
import type { RawExample } from '../examples/formats/formats.ts';
import { createJsonlChecker, MAX_LINE_BYTES } from '../examples/jsonl.ts';

/** Files up to this size are looked at whole. */
const WHOLE_BYTES = 16 * 1024 * 1024;
/** Of larger ones this many blocks, evenly spaced, and of each the lines that start in it. */
const BLOCKS = 256;
const BLOCK_BYTES = 64 * 1024;
/** Lines may be far longer than a block: when so many bytes were read, the blocks that are left are left out. */
const MOST_BYTES = 24 * 1024 * 1024;
const NEWLINE = 0x0a;

/** What was seen of a data file. */
export interface Look {
  /** In an order that is as good as any: the first ones are spread over the file, too. */
  examples: RawExample[];
  /** All lines were looked at. */
  isWhole: boolean;
  /** Bytes of the file. */
  bytes: number;
  /** Bytes of the lines that were looked at. */
  seenBytes: number;
  /** The error with the lines that are no examples; null without one. */
  fault: GraftError | null;
  /** How many these are. */
  badLines: number;
  /** Where a line stands whose `line` an example or a detail of `fault` has. */
  place(detail: ErrorDetail): ErrorDetail;
}

/** Looks at a bounded part of a data file. Throws `empty_file` when it has no example there. */
export async function lookAtFile(path: string): Promise<Look> {
  const file = await open(path, 'r');
  try {
    const bytes = (await file.stat()).size;
    const isWhole = bytes <= WHOLE_BYTES;
    const examples: RawExample[] = [];
    let badLines = 0;
    const checker = createJsonlChecker(
      (example) => examples.push(example),
      () => badLines++,
    );
    /** Of each line in the order they were looked at: where it starts. Those of the first block are the file's first lines. */
    const starts: number[] = [];
    let counted = 0;
    let seenBytes = 0;
    if (isWhole) {
      for (let at = 0; at < bytes; at += BLOCK_BYTES) checker.write(await read(file, at, BLOCK_BYTES));
      seenBytes = bytes;
    } else {
      for (const block of inSpreadOrder(BLOCKS)) {
        if (seenBytes >= MOST_BYTES) break;
        const from = Math.floor((block * (bytes - BLOCK_BYTES)) / (BLOCKS - 1));
        for (const { start, line } of await linesOf(file, from)) {
          starts.push(start);
          seenBytes += line.length + 1;
          checker.write(line);
          checker.write(Uint8Array.of(NEWLINE));
        }
        if (block === 0) counted = starts.length;
      }
    }
    // Where only parts were looked at, the numbers of most lines are not known.
    const place = (detail: ErrorDetail): ErrorDetail => {
      const { line, message, count } = detail;
      if (line === undefined || isWhole) return detail;
      const others = count === undefined ? {} : { count };
      if (line <= counted) return { line, message, ...others };
      return { message: `the line that begins with byte ${starts[line - 1]} ${message}`, ...others };
    };
    const fault = faultOf(checker);
    return { examples, isWhole, bytes, seenBytes, fault, badLines, place };
  } finally {
    await file.close();
  }
}

/** The lines that start in the block from `from`, each to its end. */
async function linesOf(file: FileHandle, from: number): Promise<{ start: number; line: Uint8Array }[]> {
  // A line starts where the byte before it is a newline.
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

/** A line of which `begun` is known, to its end, or until it is too long for the checker. */
async function restOf(file: FileHandle, start: number, begun: Uint8Array): Promise<Uint8Array> {
  const parts = [begun];
  let length = begun.length;
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

/** 0 to `count` − 1, a power of two, such that the first few are spread over all: the bits of each number reversed. */
function inSpreadOrder(count: number): number[] {
  let order = [0];
  while (order.length < count) order = [...order.map((n) => 2 * n), ...order.map((n) => 2 * n + 1)];
  return order;
}

function faultOf(checker: { end(): unknown }): GraftError | null {
  try {
    checker.end();
    return null;
  } catch (error) {
    if (error instanceof GraftError && error.details) return error;
    throw error;
  }
}
