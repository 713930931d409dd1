/**
 * Number of tokens kept after their text was returned: some decoders treat the first token of a sequence differently, and an incomplete
 * character has at most three.
 */
const CONTEXT = 4;
const WINDOW = 32;
/** Number of tokens decoded together at most; their text may end with an incomplete character. */
const LONGEST_WINDOW = 64;
const REPLACEMENT = '\uFFFD';

/**
 * Decodes tokens one by one. A character whose bytes are spread over several tokens is returned as a whole: until it is
 * complete, the decoded text ends with a replacement character, which is held back.
 */
export class StreamDecoder {
  readonly #decode: (ids: number[]) => string;
  #window: number[] = [];
  /** UTF-16 units of the window's text that were already returned. */
  #sent = 0;

  constructor(decode: (ids: number[]) => string) {
    this.#decode = decode;
  }

  /** The text that token `id` completes; empty if it completes none. */
  push(id: number): string {
    this.#window.push(id);
    const text = this.#decode(this.#window);
    const unfinished = text.endsWith(REPLACEMENT);
    const out = this.#take(text, unfinished ? text.length - 1 : text.length);
    const { length } = this.#window;
    // Broken bytes, or replacement characters in the text itself, may follow one another without end.
    if (length > (unfinished ? LONGEST_WINDOW : WINDOW)) {
      this.#window = this.#window.slice(-CONTEXT);
      this.#sent = this.#decode(this.#window).length - (unfinished ? 1 : 0);
    }
    return out;
  }

  /** The remaining text that was held back: an incomplete character, if any. */
  end(): string {
    const text = this.#decode(this.#window);
    const out = this.#take(text, text.length);
    this.#window = [];
    this.#sent = 0;
    return out;
  }

  #take(text: string, until: number): string {
    if (until <= this.#sent) return '';
    const out = text.slice(this.#sent, until);
    this.#sent = until;
    return out;
  }
}
