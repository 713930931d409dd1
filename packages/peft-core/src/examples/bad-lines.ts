import { type ErrorDetail, GraftError, MAX_MESSAGE, shortened } from '../errors.ts';

/** Maximum number of different faults that are listed; lines with further ones are only counted. */
export const MAX_LISTED_FAULTS = 100;
/** Maximum number of line ranges stored for all faults together, about 15 kB of text; later lines are only counted. */
const MAX_RANGES = 1000;
/** Maximum number of different faults, and of line ranges for each, in the message. */
const MAX_SHOWN = 10;

type Ranges = [first: number, last: number][];

/** Faults of a file's lines. Lines with the same fault share one entry, so that a million of them need no more memory than one. */
export class BadLines {
  readonly #unit: string;
  readonly #faults = new Map<string, { line: number; message: string; count: number; lines: Ranges }>();
  #count = 0;
  #ranges = 0;

  /** `unit`: what its numbers count, in messages. */
  constructor(unit = 'line') {
    this.#unit = unit;
  }

  get count(): number {
    return this.#count;
  }

  /** Adds a bad line. Lines must ascend. */
  add(line: number, message: string): void {
    this.#count++;
    const kind = kindOf(message.slice(0, MAX_MESSAGE));
    let fault = this.#faults.get(kind);
    if (!fault) {
      if (this.#faults.size === MAX_LISTED_FAULTS) return;
      fault = { line, message: shortened(message, MAX_MESSAGE / 4), count: 0, lines: [] };
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
    return badLines(code, details, this.#count, this.#unit);
  }
}

/** Faults that differ only in numbers, or in the part of the line that JSON.parse quotes, are the same. */
const kindOf = (message: string): string =>
  message.startsWith('is not valid JSON') ? 'is not valid JSON' : message.replaceAll(/\d+/g, '0');

/**
 * One error for `total` bad lines: the message shows the first ten faults, the details list up to a hundred. If the number of a line is
 * not known, its message says which line it is.
 */
export function badLines(
  code: string,
  faults: readonly ErrorDetail[],
  total: number,
  unit = 'line',
): GraftError {
  const details = faults.slice(0, MAX_LISTED_FAULTS);
  const shown = details.slice(0, MAX_SHOWN);
  const more = total - shown.reduce((sum, { count = 1 }) => sum + count, 0);
  const parts = shown.map(({ line, message, count = 1, lines = [] }) => {
    const described = line === undefined ? message : `${unit} ${line} ${message}`;
    return count === 1 ? described : `${described} (${sameIn(lines, count, unit)})`;
  });
  if (more > 0) parts.push(`and ${more} more bad ${unit}${more === 1 ? '' : 's'}`);
  const all = total > parts.length ? `: ${total} bad ${unit}s in all` : '';
  return new GraftError(code, parts.join('; ') + all, { details });
}

/** Describes the lines after the first. */
function sameIn([first, ...others]: Ranges, count: number, unit: string): string {
  if (!first) return `the same fault in ${count - 1} more`;
  const [line, last] = first;
  const rest: Ranges = last > line ? [[line + 1, last], ...others] : others;
  const shown = rest.slice(0, MAX_SHOWN);
  const left = count - 1 - shown.reduce((sum, [from, to]) => sum + to - from + 1, 0);
  const numbers = shown.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(', ');
  const one = shown.length === 1 && shown[0]![0] === shown[0]![1] && left === 0;
  return `the same fault in ${unit}${one ? '' : 's'} ${numbers}${left > 0 ? ` and ${left} more` : ''}`;
}
