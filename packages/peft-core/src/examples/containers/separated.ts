import { isUtf8 } from 'node:buffer';
import { GraftError } from '../../errors.ts';
import type { ByteReader, FileStart, RowSink } from './container.ts';
import { MAX_LINE_BYTES } from './limits.ts';

const [quote, newline, carriageReturn] = [0x22, 0x0a, 0x0d];
const MAX_COLUMNS = 1000;
const TOO_LONG = `is longer than ${MAX_LINE_BYTES} bytes`;

/** Characters that separate fields. A spreadsheet in a language whose decimal sign is a comma writes semicolons. */
const SEPARATORS = [',', ';', '\t'] as const;
type Separator = (typeof SEPARATORS)[number];

/**
 * The character by which the first row of a file separates the most names; null if there is only one name, unless it is `text`.
 */
export function separatorOf(start: FileStart): Separator | null {
  const counts = SEPARATORS.map((separator) => namesOf(start, separator).length);
  const most = Math.max(...counts);
  if (most > 1) return SEPARATORS[counts.indexOf(most)]!;
  return namesOf(start, ',')[0] === 'text' ? ',' : null;
}

/** Names in the first row; none if it is not complete. */
function namesOf({ text, isWhole }: FileStart, separator: Separator): readonly string[] {
  let found: readonly string[] = [];
  const row = text.slice(0, text.includes('\n') || isWhole ? undefined : 0);
  const reader = readSeparated(
    {
      columns: (names) => {
        found = names;
      },
      row: () => {},
      bad: () => {},
    },
    separator,
    { onlyNames: true },
  );
  try {
    reader.write(Buffer.from(row));
    if (isWhole) reader.end();
  } catch (error) {
    if (!(error instanceof GraftError)) throw error;
    // It is reported when the file is read.
    return row.startsWith('"') ? [] : ['', ''];
  }
  return found;
}

/**
 * Rows of separated values (RFC 4180), with the names of the columns in the first row: fields may be in quotes, and a quote within them
 * is doubled. Rows are counted as a spreadsheet does, from 1 with the names. Keeps one row in memory.
 */
export function readSeparated(
  sink: Pick<RowSink, 'row' | 'bad'> & { columns(names: readonly string[]): unknown },
  separator: Separator,
  { onlyNames = false } = {},
): ByteReader {
  const delimiter = separator.charCodeAt(0);
  let names: readonly string[] | null = null;
  /** Bytes of a row that is not complete, from its start. */
  let held = Buffer.alloc(0);
  let row = 0;
  /** Line on which the row starts. */
  let line = 1;
  /** If the end of a field in quotes was not found: where the search continues. */
  let searched = 0;
  let quotedFrom = -1;

  const whereIs = (bytes: Buffer, at: number): string => {
    let lines = 0;
    let start = 0;
    for (let i = bytes.indexOf(newline); i !== -1 && i < at; i = bytes.indexOf(newline, i + 1)) {
      lines++;
      start = i + 1;
    }
    return `line ${line + lines}, column ${bytes.toString('utf8', start, at).length + 1}`;
  };
  const broken = (what: string): GraftError => new GraftError('invalid_jsonl', `row ${row + 1}: ${what}`);

  /** Reads rows from `bytes`; returns the number of bytes of complete rows. `isLast`: the file ends there. */
  function readRows(bytes: Buffer, isLast: boolean): number {
    let start = 0;
    while (start < bytes.length && !(onlyNames && names)) {
      const end = readRow(bytes, start, isLast);
      if (end === -1) break;
      start = end;
    }
    return start;
  }

  /** Reads the row at `start`. Returns the start of the next one, or -1 if the row is not complete. */
  function readRow(bytes: Buffer, start: number, isLast: boolean): number {
    const fields: string[] = [];
    let lines = 1;
    let at = start;
    for (;;) {
      if (bytes[at] === quote) {
        let end = at + 1;
        if (quotedFrom === at - start) end = start + searched;
        let hasQuotes = false;
        for (;;) {
          end = bytes.indexOf(quote, end);
          if (end === -1 || (end + 1 === bytes.length && !isLast)) {
            if (isLast)
              throw broken(`the quote at ${whereIs(bytes.subarray(start), at - start)} is never closed`);
            if (bytes.length - at > MAX_LINE_BYTES)
              throw broken(
                `the field that begins at ${whereIs(bytes.subarray(start), at - start)} is longer than ${MAX_LINE_BYTES} bytes; perhaps its quote is never closed`,
              );
            quotedFrom = at - start;
            searched = (end === -1 ? bytes.length : end) - start;
            return -1;
          }
          if (bytes[end + 1] !== quote) break;
          hasQuotes = true;
          end += 2;
        }
        // A field with quotes that the search skipped has them, too.
        hasQuotes ||= quotedFrom === at - start;
        quotedFrom = -1;
        const text = bytes.toString('utf8', at + 1, end);
        fields.push(hasQuotes ? text.replaceAll('""', '"') : text);
        const field = bytes.subarray(at, end);
        for (let i = field.indexOf(newline); i !== -1; i = field.indexOf(newline, i + 1)) lines++;
        at = end + 1;
        const next = bytes[at];
        const ends = next === undefined || next === newline || next === delimiter;
        if (next === carriageReturn && at + 1 === bytes.length && !isLast) return -1;
        if (!ends && !(next === carriageReturn && (bytes[at + 1] ?? newline) === newline))
          throw broken(
            `text follows the closing quote at ${whereIs(bytes.subarray(start), at - start)}; a quote within a field is written twice`,
          );
        if (next === carriageReturn) at++;
      } else {
        let end = at;
        while (end < bytes.length && bytes[end] !== delimiter && bytes[end] !== newline) end++;
        if (end === bytes.length && !isLast) {
          if (end - start > MAX_LINE_BYTES) throw broken(TOO_LONG);
          return -1;
        }
        const isEnd = end === bytes.length || bytes[end] === newline;
        const isReturn = isEnd && end > at && bytes[end - 1] === carriageReturn;
        fields.push(bytes.toString('utf8', at, isReturn ? end - 1 : end));
        at = end;
      }
      if (at >= bytes.length && !isLast) return -1;
      if (at >= bytes.length || bytes[at] === newline) break;
      at++;
      if (fields.length > MAX_COLUMNS) throw broken(`has more than ${MAX_COLUMNS} fields`);
    }
    finishRow(fields, bytes.subarray(start, at));
    line += lines;
    return at + 1;
  }
  function finishRow(fields: readonly string[], bytes: Buffer): void {
    row++;
    if (fields.length === 1 && fields[0]!.trim() === '') return;
    if (names === null) {
      if (!isUtf8(bytes))
        throw new GraftError('invalid_jsonl', 'row 1, the names of the columns, is not valid UTF-8');
      names = fields.map((name) => name.trim());
      const twice = names.find((name, i) => name !== '' && names!.indexOf(name) !== i);
      if (twice !== undefined)
        throw new GraftError(
          'invalid_jsonl',
          `row 1, the names of the columns, has ${JSON.stringify(twice)} twice`,
        );
      sink.columns(names.filter((name) => name !== ''));
      return;
    }
    const fault = faultOf(fields, bytes, names.length);
    if (fault) {
      sink.bad(row, fault);
      return;
    }
    const value: Record<string, string> = {};
    for (let i = 0; i < names.length; i++) if (names[i] !== '') value[names[i]!] = fields[i]!;
    sink.row(row, value, false);
  }

  let waiting: Uint8Array[] = [];
  let waitingBytes = 0;
  const take = (isLast: boolean) => {
    const bytes = Buffer.concat([held, ...waiting]);
    waiting = [];
    waitingBytes = 0;
    held = Buffer.from(bytes.subarray(readRows(bytes, isLast)));
  };

  return {
    write(chunk) {
      waiting.push(chunk);
      waitingBytes += chunk.length;
      // A long row is read again from its start, so that the more of it is there, the more has to arrive first.
      const isOver = held.length + waitingBytes > MAX_LINE_BYTES;
      if (isOver || waitingBytes >= held.length / 2) take(false);
      else waiting[waiting.length - 1] = chunk.slice();
    },
    end: () => take(true),
  };
}

/** Why a row cannot be used; null if it can. */
function faultOf(fields: readonly string[], bytes: Uint8Array, columns: number): string | null {
  if (bytes.length > MAX_LINE_BYTES) return TOO_LONG;
  if (!isUtf8(bytes)) return 'is not valid UTF-8';
  return fields.length === columns ? null : `has ${fields.length} fields, and row 1 names ${columns} columns`;
}
