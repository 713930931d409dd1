/** Messages between processes as lines of JSON. Non-finite numbers are encoded as `{"#":"NaN"}`. */
import type { Readable } from 'node:stream';

/** Maximum length of a line from a child, in bytes. Graft's longest message is a part of a metric series, about 400 kB. */
export const longestLine = 2 ** 20;

const notFinite: ReadonlyMap<unknown, number> = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
]);

export function toWire(value: unknown): unknown {
  if (typeof value === 'number') return Number.isFinite(value) ? value : { '#': String(value) };
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(toWire);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, toWire(each)]));
}

/** Decodes a value that `toWire` encoded. */
export function fromWire(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(fromWire);
  const entries = Object.entries(value);
  const number = entries.length === 1 && entries[0]![0] === '#' ? notFinite.get(entries[0]![1]) : undefined;
  // An own key `__proto__` stays an own key, which every schema rejects.
  return number ?? Object.fromEntries(entries.map(([key, each]) => [key, fromWire(each)]));
}

/** Parses the message of a line. Throws for invalid or too deeply nested JSON. */
export function readLine(line: string): unknown {
  const value: unknown = JSON.parse(line);
  // Inside a string the quotes would be escaped, so this only matches an encoded number.
  return line.includes('{"#":"') ? fromWire(value) : value;
}

/** Calls `take` with each line of a stream. Calls `refuse` once if a line is longer than `longest` bytes, and stops reading. */
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
