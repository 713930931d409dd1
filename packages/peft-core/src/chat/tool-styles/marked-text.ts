/** A text split at the first of some marks. */
export interface Split {
  before: string;
  /** Null if there is none; `after` is then the end of the text that may still become one. */
  mark: string | null;
  after: string;
}

/** Splits `text` at the first mark; of marks at the same place, at the longest. */
export function splitAtMark(text: string, marks: readonly string[]): Split {
  let at = text.length;
  let mark: string | null = null;
  for (const each of marks) {
    const found = text.indexOf(each);
    if (found === -1 || found > at || (found === at && mark !== null && mark.length >= each.length)) continue;
    at = found;
    mark = each;
  }
  if (mark !== null) return { before: text.slice(0, at), mark, after: text.slice(at + mark.length) };
  const held = Math.max(0, ...marks.map((each) => startedAtEnd(text, each)));
  return { before: text.slice(0, text.length - held), mark: null, after: text.slice(text.length - held) };
}

/** Length of the longest end of `text` that is the start of `mark`. */
export function startedAtEnd(text: string, mark: string): number {
  for (let length = Math.min(text.length, mark.length - 1); length > 0; length--)
    if (text.endsWith(mark.slice(0, length))) return length;
  return 0;
}

/** Length of the end of a held text that can be compared. */
const TAIL = 32;

/** A text that is read character by character. Its end is known without copying the text. */
export class HeldText {
  text = '';
  #tail = '';

  add(char: string): void {
    this.text += char;
    this.#tail = (this.#tail + char).slice(-TAIL);
  }

  endsWith(mark: string): boolean {
    return this.#tail.endsWith(mark);
  }
}
