import { type ErrorDetail, GraftError } from '../errors.ts';

/** Different faults that are listed; lines with still other ones are counted. */
export const MAX_LISTED_FAULTS = 100;
/** Ranges of line numbers that are kept of all faults together, some 15 kB of text; later lines are counted. */
const MAX_RANGES = 1000;
/** Different faults, and ranges of lines of each, that the message shows. */
const MAX_SHOWN = 10;

type Ranges = [first: number, last: number][];

/** What is wrong with the lines of a file. Lines with the same fault are one entry, so that a million of them take no more memory than one. */
export class BadLines {
  readonly #faults = new Map<string, { line: number; message: string; count: number; lines: Ranges }>();
  #count = 0;
  #ranges = 0;

  /** Lines that were added. */
  get count(): number {
    return this.#count;
  }

  /** Lines come in ascending order. */
  add(line: number, message: string): void {
    this.#count++;
    const kind = kindOf(message);
    let fault = this.#faults.get(kind);
    if (!fault) {
      if (this.#faults.size === MAX_LISTED_FAULTS) return;
      fault = { line, message, count: 0, lines: [] };
      this.#faults.set(kind, fault);
    }
    fault.count++;
    const newest = fault.lines.at(-1);
    if (newest?.[1] === line - 1) newest[1] = line;
    else if (!newest || this.#ranges < MAX_RANGES) {
      fault.lines.push([line, line]);
      this.#ranges++;
    }
  }

  error(code: string): GraftError {
    const details = [...this.#faults.values()].map(
      ({ line, message, count, lines }): ErrorDetail =>
        count === 1 ? { line, message } : { line, message, count, lines },
    );
    return badLines(code, details, this.#count);
  }
}

/** Faults that differ in numbers, or in what JSON.parse quotes of the line, are the same. */
const kindOf = (message: string): string =>
  message.startsWith('is not valid JSON') ? 'is not valid JSON' : message.replaceAll(/\d+/g, '0');

/**
 * One error for `total` bad lines: the message shows the first ten faults, the details have up to a hundred. Where the number of a line
 * is not known, its message says which it is.
 */
export function badLines(code: string, faults: readonly ErrorDetail[], total: number): GraftError {
  const details = faults.slice(0, MAX_LISTED_FAULTS);
  const shown = details.slice(0, MAX_SHOWN);
  const more = total - shown.reduce((sum, { count = 1 }) => sum + count, 0);
  const parts = shown.map(({ line, message, count = 1, lines = [] }) => {
    const described = line === undefined ? message : `line ${line} ${message}`;
    return count === 1 ? described : `${described} (${sameIn(lines, count)})`;
  });
  if (more > 0) parts.push(`and ${more} more bad line${more === 1 ? '' : 's'}`);
  const all = total > parts.length ? `: ${total} bad lines in all` : '';
  return new GraftError(code, parts.join('; ') + all, { details });
}

/** The lines after the first. */
function sameIn([first, ...others]: Ranges, count: number): string {
  if (!first) return `the same fault in ${count - 1} more`;
  const [line, last] = first;
  const rest: Ranges = last > line ? [[line + 1, last], ...others] : others;
  const shown = rest.slice(0, MAX_SHOWN);
  const left = count - 1 - shown.reduce((sum, [from, to]) => sum + to - from + 1, 0);
  const numbers = shown.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(', ');
  const one = shown.length === 1 && shown[0]![0] === shown[0]![1] && left === 0;
  return `the same fault in ${one ? 'line' : 'lines'} ${numbers}${left > 0 ? ` and ${left} more` : ''}`;
}
