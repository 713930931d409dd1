/** Line numbers from 1, first and last inclusive. */
export type LineRange = readonly [first: number, last: number];

/** Where lines are in a file, as byte offsets. */
export interface LineBytes {
  first: number;
  last: number;
  /** The first byte; in line 1 the one after a byte order mark. */
  start: number;
  /** The byte after the text, without the line ending. */
  textEnd: number;
  /** The byte after the line ending. */
  end: number;
}

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const byteOrderMark = [0xef, 0xbb, 0xbf];

/** Sorts ranges, and joins those that overlap or touch. */
export function mergedRanges(ranges: Iterable<readonly number[]>): LineRange[] {
  const merged: [number, number][] = [];
  const sorted = [...ranges].map(([first = 0, last = first]) => [first, last] as const);
  for (const [first, last] of sorted.sort(([a], [b]) => a - b)) {
    const newest = merged.at(-1);
    if (newest && first <= newest[1] + 1) newest[1] = Math.max(newest[1], last);
    else merged.push([first, last]);
  }
  return merged;
}

export const countLines = (ranges: readonly LineRange[]): number =>
  ranges.reduce((sum, [first, last]) => sum + last - first + 1, 0);

/** The ranges without the lines of others; both as returned by `mergedRanges`. */
export function rangesWithout(ranges: readonly LineRange[], others: readonly LineRange[]): LineRange[] {
  const left: LineRange[] = [];
  let next = 0;
  for (const [first, last] of ranges) {
    let from = first;
    while (next < others.length && others[next]![1] < from) next++;
    for (let i = next; i < others.length && others[i]![0] <= last; i++) {
      const [otherFirst, otherLast] = others[i]!;
      if (otherFirst > from) left.push([from, otherFirst - 1]);
      from = otherLast + 1;
    }
    if (from <= last) left.push([from, last]);
  }
  return left;
}

/** The first lines of the ranges, at most `count`. */
export function firstLines(ranges: readonly LineRange[], count: number): number[] {
  const lines: number[] = [];
  for (const [first, last] of ranges)
    for (let line = first; line <= last && lines.length < count; line++) lines.push(line);
  return lines;
}

/** Lines of a copy by their numbers in the original, which also has the lines `leftOut`; both as returned by `mergedRanges`. */
export function linesOfOriginal(copied: readonly LineRange[], leftOut: readonly LineRange[]): LineRange[] {
  const found: LineRange[] = [];
  /** Lines left out before the current one, and the next range of them. */
  let before = 0;
  let next = 0;
  for (const [first, last] of copied) {
    let from = first;
    while (from <= last) {
      while (next < leftOut.length && leftOut[next]![0] <= from + before) {
        before += leftOut[next]![1] - leftOut[next]![0] + 1;
        next++;
      }
      const gap = leftOut[next]?.[0] ?? Number.POSITIVE_INFINITY;
      const to = Math.min(last, gap - 1 - before);
      found.push([from + before, to + before]);
      from = to + 1;
    }
  }
  return mergedRanges(found);
}

/**
 * Finds ranges of lines, as returned by `mergedRanges` and possibly split, in a file that is read once, up to the last of them. Lines
 * end with LF or CRLF, as in the API. Lines after the end of the file are omitted.
 */
export async function findLines(
  file: Blob,
  ranges: readonly LineRange[],
  signal?: AbortSignal,
): Promise<LineBytes[]> {
  const beginning = new Uint8Array(await file.slice(0, byteOrderMark.length).arrayBuffer());
  const hasMark = byteOrderMark.every((byte, i) => beginning[i] === byte);
  const found: LineBytes[] = [];
  let line = 1;
  let lineStart = hasMark ? byteOrderMark.length : 0;
  let start = 0;
  let textEnd = 0;

  const finishLine = (end: number, endOfText: number) => {
    const [first, last] = ranges[found.length]!;
    if (line === first) start = lineStart;
    if (line >= first) textEnd = endOfText;
    if (line === last) found.push({ first, last, start, textEnd, end });
    line++;
    lineStart = end;
  };

  const reader = file.stream().getReader();
  /** Offset of the chunk in the file, and the last byte of the chunk before it. */
  let offset = 0;
  let previous = 0;
  while (found.length < ranges.length) {
    signal?.throwIfAborted();
    const { done, value: chunk } = await reader.read();
    if (done) break;
    // One pass over the bytes: as quick for a chunk of empty lines as for one long line.
    for (let i = 0; i < chunk.length && found.length < ranges.length; i++) {
      if (chunk[i] !== NEWLINE) continue;
      const end = offset + i + 1;
      const isPair = (i === 0 ? previous : chunk[i - 1]) === RETURN;
      finishLine(end, end - (isPair ? 2 : 1));
    }
    offset += chunk.length;
    previous = chunk.at(-1) ?? previous;
  }
  await reader.cancel();
  if (found.length < ranges.length && lineStart < file.size) finishLine(file.size, file.size);
  const cut = ranges[found.length];
  if (cut && cut[0] < line) found.push({ first: cut[0], last: line - 1, start, textEnd, end: lineStart });
  return found;
}
