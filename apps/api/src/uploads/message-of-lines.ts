import type { ErrorDetail } from '@graft/peft-core/config';
import type { LineRanges } from './line-ranges.ts';

/** One message for all bad lines of a file: what is wrong with the first of them, which `described` has, and every other's number. */
export function messageOfLines(described: readonly ErrorDetail[], bad: LineRanges): string {
  const told = described.map(({ line, message }) => `line ${line} ${message}`).join('; ');
  const others = bad.after(described.at(-1)?.line ?? 0);
  return others ? `${told}; and ${others}: ${bad.count} bad lines in all` : told;
}
