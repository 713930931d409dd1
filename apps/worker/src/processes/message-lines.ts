/** Messages between processes as lines of JSON. A number that JSON does not have is `{"#":"NaN"}`. */
import type { Readable } from 'node:stream';

/** The longest line that a child may send, in bytes. The longest that one of Graft sends is a part of a series: some 400 kB. */
export const longestLine = 2 ** 20;

const notFinite: ReadonlyMap<unknown, number> = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
]);

/** A message as JSON carries it. */
export function toWire(value: unknown): unknown {
  if (typeof value === 'number') return Number.isFinite(value) ? value : { '#': String(value) };
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(toWire);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, toWire(each)]));
}

/** What `toWire` was given. */
export function fromWire(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(fromWire);
  const entries = Object.entries(value);
  const number = entries.length === 1 && entries[0]![0] === '#' ? notFinite.get(entries[0]![1]) : undefined;
  // An own key `__proto__` stays an own key, which no schema has.
  return number ?? Object.fromEntries(entries.map(([key, each]) => [key, fromWire(each)]));
}

/** The message of a line. Throws for one that is none: no JSON, or too deep. */
export function readLine(line: string): unknown {
  const value: unknown = JSON.parse(line);
  // In a string the quotes would be escaped.
  return line.includes('{"#":"') ? fromWire(value) : value;
}

/** Calls `take` with each line of a stream, and `refuse` once when one is longer than `longest` bytes: then nothing more is read. */
export function onLines(
  stream: Readable,
  longest: number,
  take: (line: string) => void,
  refuse: () => void,
): void {
  let held: Buffer[] = [];
  let bytes = 0;
  let isOver = false;
  stream.on('data', (chunk: Buffer) => {
    for (let start = 0; !isOver && start < chunk.length; ) {
      const newline = chunk.indexOf(0x0a, start);
      const piece = chunk.subarray(start, newline < 0 ? chunk.length : newline);
      bytes += piece.length;
      if (bytes > longest) {
        isOver = true;
        held = [];
        stream.destroy();
        return refuse();
      }
      held.push(piece);
      if (newline < 0) return;
      const line = held.length === 1 ? piece.toString() : Buffer.concat(held).toString();
      [held, bytes] = [[], 0];
      start = newline + 1;
      take(line);
    }
  });
}
