import { parseJson } from '../../schema/exact-json.ts';
import { jsonExtent } from '../../schema/json-extent.ts';
import { jsonFault } from '../../schema/json-fault.ts';
import type { ByteReader, Container, RowSink } from './container.ts';
import { MAX_LINE_BYTES, MAX_LINE_DEPTH } from './limits.ts';

/** Shorter lines cannot nest deeply enough to be expensive. */
const DEEP_LINE_BYTES = 16 * 1024;
const NEWLINE = 0x0a;

/** JSON lines: one JSON object on each line. Blank lines count as lines, and are no rows. */
export const jsonl: Container = {
  name: 'jsonl',
  title: 'JSON lines',
  unit: 'line',
  sample: '{"prompt": "The courier", "completion": " left."}',
  cells: 'typed',
  recognised: 'a line that is a JSON object',
  matches: ({ text }) =>
    text.trimStart().startsWith('{') || text.split('\n', 1000).some((line) => isJsonObject(line)),
  stream: readJsonLines,
};

function isJsonObject(line: string): boolean {
  if (!/^\s*\{/.test(line) || line.length > DEEP_LINE_BYTES) return false;
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}

/** Keeps one line in memory. */
export function readJsonLines(sink: Pick<RowSink, 'row' | 'bad'>): ByteReader {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let line = 0;
  let held: Uint8Array[] = [];
  let heldBytes = 0;

  function finishLine(rest: Uint8Array): void {
    line++;
    const bytes = heldBytes + rest.length;
    const parts = [...held, rest];
    held = [];
    heldBytes = 0;
    const fault =
      bytes > MAX_LINE_BYTES
        ? `is longer than ${MAX_LINE_BYTES} bytes`
        : readLine(parts.length === 1 ? rest : Buffer.concat(parts));
    if (fault !== null) sink.bad(line, fault);
  }

  /** Reads a whole line; returns its fault, or null. */
  function readLine(bytes: Uint8Array): string | null {
    let text: string;
    try {
      text = decoder.decode(bytes);
    } catch {
      return 'is not valid UTF-8';
    }
    if (text.trim() === '') return null;
    if (bytes.length > DEEP_LINE_BYTES && jsonExtent(text).depth > MAX_LINE_DEPTH)
      return `nests deeper than ${MAX_LINE_DEPTH} levels`;
    let value: unknown;
    try {
      value = parseJson(text);
    } catch {
      return `is not valid JSON: ${jsonFault(text)}`;
    }
    sink.row(line, value, text.includes('\\u'));
    return null;
  }

  return {
    write(chunk) {
      let start = 0;
      for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
        finishLine(chunk.subarray(start, end));
        start = end + 1;
      }
      const rest = chunk.subarray(start);
      // Only the length of a line that is already too long matters.
      if (rest.length > 0 && heldBytes <= MAX_LINE_BYTES) held.push(rest.slice());
      heldBytes += rest.length;
      if (heldBytes > MAX_LINE_BYTES) held = [];
    },
    end() {
      if (heldBytes > 0) finishLine(new Uint8Array(0));
    },
  };
}
