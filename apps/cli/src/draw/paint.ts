/** The text styles of the command; `plainPaint` leaves text unchanged. */
export interface Paint {
  dim(text: string): string;
  bold(text: string): string;
  /** Training loss, and the completed part of a progress bar. */
  line(text: string): string;
  /** Evaluations and warnings. */
  mark(text: string): string;
  good(text: string): string;
  bad(text: string): string;
}

const same = (text: string): string => text;
export const plainPaint: Paint = { dim: same, bold: same, line: same, mark: same, good: same, bad: same };

const sgr = (on: number, off: number) => (text: string) =>
  text === '' ? '' : `\x1b[${on}m${text}\x1b[${off}m`;
const colourPaint: Paint = {
  dim: sgr(2, 22),
  bold: sgr(1, 22),
  line: sgr(36, 39),
  mark: sgr(33, 39),
  good: sgr(32, 39),
  bad: sgr(31, 39),
};

/** Colours on a terminal that supports them; NO_COLOR (no-color.org) turns them off. */
export function paintFor(stream: { isTTY?: boolean }): Paint {
  const colours = stream.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb';
  return colours ? colourPaint : plainPaint;
}

/** A bar of `width` characters such as ━━━━━━━─────; `part` from 0 to 1. */
export function progressBar(part: number, width: number, paint: Paint): string {
  const done = Math.round(Math.min(1, Math.max(0, part)) * width);
  return paint.line('━'.repeat(done)) + paint.dim('─'.repeat(width - done));
}
