/** Unicode's White_Space, as in Rust: JavaScript's `\s` and `trim` lack U+0085 and have U+FEFF. */
export const WHITE_SPACE = '\\p{White_Space}';

const START = new RegExp(`^${WHITE_SPACE}+`, 'u');
const isSpace = new RegExp(`^${WHITE_SPACE}$`, 'u');

/** Number of UTF-16 units of white space at `at`. */
export function spacesAt(text: string, at: number): number {
  let end = at;
  // Every white space is a single unit.
  while (end < text.length && isWhiteSpace(text.charCodeAt(end))) end++;
  return end - at;
}

/** Number of UTF-16 units of white space that end at `at`, at most as far back as `least`. */
export function spacesBefore(text: string, at: number, least = 0): number {
  let start = at;
  while (start > least && isWhiteSpace(text.charCodeAt(start - 1))) start--;
  return at - start;
}

export function trimStart(text: string): string {
  return text.replace(START, '');
}

export function trimEnd(text: string): string {
  return text.slice(0, text.length - spacesBefore(text, text.length));
}

function isWhiteSpace(unit: number): boolean {
  if (unit < 0x80) return unit === 0x20 || (unit >= 0x09 && unit <= 0x0d);
  return isSpace.test(String.fromCharCode(unit));
}
