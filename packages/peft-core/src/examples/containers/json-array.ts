import { GraftError } from '../../errors.ts';
import { parseJson } from '../../schema/exact-json.ts';
import { jsonFault } from '../../schema/json-fault.ts';
import type { ByteReader, Container, RowSink } from './container.ts';
import { MAX_LINE_BYTES, MAX_LINE_DEPTH } from './limits.ts';

const [quote, backslash, comma, newline] = [0x22, 0x5c, 0x2c, 0x0a];
const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d];
const isSpace = (byte: number) => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

export const jsonArray: Container = {
  name: 'json',
  title: 'a JSON array',
  unit: 'item',
  sample: '[{"prompt": "The courier", "completion": " left."}]',
  cells: 'typed',
  recognised: 'begins with `[`',
  matches: ({ text }) => text.trimStart().startsWith('['),
  stream: (sink) => new ArrayReader(sink),
};

/**
 * Finds the extent of each item and parses it alone, so that one item is in memory. Brackets are only counted here: `JSON.parse`
 * decides whether an item is valid.
 */
class ArrayReader implements ByteReader {
  readonly #sink: RowSink;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  #state: 'start' | 'item or ]' | 'item' | 'in item' | ', or ]' | 'end' = 'start';
  #depth = 0;
  #inString = false;
  /** True if the byte before the next one is a backslash that escapes it. */
  #escapes = false;
  #deepest = 0;
  #item = 0;
  #parts: Uint8Array[] = [];
  #bytes = 0;
  /** Position of the next byte, and of the start of the item. */
  #line = 1;
  #lineStart = 0;
  #at = 0;
  #itemLine = 1;
  #itemColumn = 1;

  constructor(sink: RowSink) {
    this.#sink = sink;
  }

  write(chunk: Uint8Array): void {
    let start = 0;
    for (let i = 0; i < chunk.length; i++) {
      if (this.#state === 'in item') {
        const wasInString = this.#inString;
        if (wasInString) i = this.#skipString(chunk, i);
        if (i === chunk.length) break;
        const byte = chunk[i]!;
        if (wasInString) {
          this.#inString = false;
          // A text that is an item by itself.
          if (this.#depth === 0) this.#finish(chunk.subarray(start, i + 1));
        } else if (byte === quote) this.#inString = true;
        else if (byte === openBrace || byte === openBracket) {
          this.#depth++;
          if (this.#depth > this.#deepest) this.#deepest = this.#depth;
        } else if (this.#depth > 0) {
          if (byte === closeBrace || byte === closeBracket) this.#depth--;
          else if (byte === newline) this.#newline(i);
          if (this.#depth === 0) this.#finish(chunk.subarray(start, i + 1));
        } else if (byte === comma || byte === closeBracket || isSpace(byte)) {
          // The end of a number or of another value without brackets.
          this.#finish(chunk.subarray(start, i));
          this.#between(byte, i);
        }
      } else {
        const byte = chunk[i]!;
        this.#between(byte, i);
        if ((this.#state as string) === 'in item') start = i;
      }
    }
    this.#at += chunk.length;
    if (this.#state === 'in item') this.#hold(chunk.subarray(start));
  }

  /** Index of the quote that ends a string, or the length of the chunk. */
  #skipString(chunk: Uint8Array, from: number): number {
    let i = from;
    if (this.#escapes) {
      this.#escapes = false;
      i++;
    }
    for (;;) {
      const end = chunk.indexOf(quote, i);
      const until = end === -1 ? chunk.length : end;
      let slashes = 0;
      while (until - slashes - 1 >= i && chunk[until - slashes - 1] === backslash) slashes++;
      if (end === -1) {
        this.#escapes = slashes % 2 === 1;
        return chunk.length;
      }
      if (slashes % 2 === 0) return end;
      i = end + 1;
      if (i >= chunk.length) return chunk.length;
    }
  }

  #between(byte: number, i: number): void {
    if (isSpace(byte)) {
      if (byte === newline) this.#newline(i);
      return;
    }
    const state = this.#state;
    if (state === 'start' && byte === openBracket) this.#state = 'item or ]';
    else if (state === 'item or ]' && byte === closeBracket) this.#state = 'end';
    else if (state === ', or ]' && byte === closeBracket) this.#state = 'end';
    else if (state === ', or ]' && byte === comma) this.#state = 'item';
    else if (state === 'item' || state === 'item or ]') {
      if (byte === comma || byte === closeBracket || byte === closeBrace)
        throw this.#fault('an item is missing', i);
      this.#state = 'in item';
      this.#item++;
      this.#itemLine = this.#line;
      this.#itemColumn = this.#column(i);
      this.#depth = byte === openBrace || byte === openBracket ? 1 : 0;
      this.#deepest = this.#depth;
      this.#inString = byte === quote;
    } else {
      const what = state === 'end' ? 'there is text after the end of the array' : 'a comma or "]" is missing';
      throw this.#fault(what, i);
    }
  }

  #newline(i: number): void {
    this.#line++;
    this.#lineStart = this.#at + i + 1;
  }

  #column(i: number): number {
    return this.#at + i - this.#lineStart + 1;
  }

  #fault(what: string, i: number): GraftError {
    return broken(what, this.#line, this.#column(i));
  }

  #hold(bytes: Uint8Array): void {
    if (this.#bytes <= MAX_LINE_BYTES) this.#parts.push(bytes.slice());
    this.#bytes += bytes.length;
    if (this.#bytes > MAX_LINE_BYTES) this.#parts = [];
  }

  #finish(rest: Uint8Array): void {
    const parts = [...this.#parts, rest];
    const bytes = this.#bytes + rest.length;
    this.#parts = [];
    this.#bytes = 0;
    this.#state = ', or ]';
    const fault = bytes > MAX_LINE_BYTES ? `is longer than ${MAX_LINE_BYTES} bytes` : this.#take(parts);
    if (fault !== null) this.#sink.bad(this.#item, fault);
  }

  /** Passes on an item; returns its fault, or null. */
  #take(parts: readonly Uint8Array[]): string | null {
    if (this.#deepest > MAX_LINE_DEPTH) return `nests deeper than ${MAX_LINE_DEPTH} levels`;
    let text: string;
    try {
      text = this.#decoder.decode(parts.length === 1 ? parts[0] : Buffer.concat(parts));
    } catch {
      return 'is not valid UTF-8';
    }
    let value: unknown;
    try {
      value = parseJson(text);
    } catch {
      return `is not valid JSON: ${this.#place(text)}`;
    }
    this.#sink.row(this.#item, value, text.includes('\\u'));
    return null;
  }

  /** The fault of an item with its line and column in the file. */
  #place(text: string): string {
    const fault = jsonFault(text) ?? '';
    const [, what, position] = /^(.*) at position (\d+)$/.exec(fault) ?? [];
    if (what === undefined) return fault;
    const before = text.slice(0, Number(position) - 1);
    const lines = before.split('\n');
    const line = this.#itemLine + lines.length - 1;
    const column = lines.at(-1)!.length + (lines.length === 1 ? this.#itemColumn : 1);
    return `${what} at line ${line}, column ${column}`;
  }

  end(): void {
    if (this.#state === 'end') return;
    const where = this.#state === 'in item' ? `within item ${this.#item}` : 'before its "]"';
    throw broken(`the file ends ${where}; it may be cut off`, this.#line, this.#at - this.#lineStart + 1);
  }
}

function broken(what: string, line: number, column: number): GraftError {
  return new GraftError('invalid_jsonl', `line ${line}, column ${column}: ${what}, so this is no JSON array`);
}
