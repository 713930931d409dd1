import type { ErrorDetail } from '@graft/peft-core/config';

/** At most this many ranges are kept, some 15 kB of text; later lines are only counted. */
const mostRanges = 1000;

/** Ascending line numbers as ranges, so that a million neighbours take no more room than one. */
export class LineRanges {
  readonly #ranges: { first: number; last: number }[] = [];
  #count = 0;

  /** How many lines were added. */
  get count(): number {
    return this.#count;
  }

  add(line: number): void {
    this.#count++;
    const newest = this.#ranges.at(-1);
    if (newest?.last === line - 1) newest.last = line;
    else if (this.#ranges.length < mostRanges) this.#ranges.push({ first: line, last: line });
  }

  /** `line 101`, or `lines 101-250, 260`, of the lines after `line`. Empty: there are none. */
  after(line: number): string {
    const later = this.#ranges
      .filter(({ last }) => last > line)
      .map(({ first, last }) => ({ first: Math.max(first, line + 1), last }));
    if (later.length === 0) return '';
    const listed = later
      .map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`))
      .join(', ');
    const kept = this.#ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0);
    const rest = this.#count > kept ? ` and ${this.#count - kept} more` : '';
    const one = later.length === 1 && later[0]!.first === later[0]!.last && rest === '';
    return `${one ? 'line' : 'lines'} ${listed}${rest}`;
  }
}

/**
 * One message for all bad lines of a file: what is wrong with the first ones, which `described` holds, and the numbers of
 * the others.
 */
export function messageOfLines(described: readonly ErrorDetail[], bad: LineRanges): string {
  const told = described.map(({ line, message }) => `line ${line} ${message}`).join('; ');
  const others = bad.after(described.at(-1)?.line ?? 0);
  return others ? `${told}; and ${others}: ${bad.count} bad lines in all` : told;
}
