import { splitAtMark } from './marked-text.ts';
import type { PieceSink, TextReader } from './tool-style.ts';

/**
 * State of a text after its last character: the start of a call; calls, of which the last is complete and others may follow (`call`) or not
 * (`done`); or none.
 */
export type CallState = 'more' | 'call' | 'done' | 'failed';

/** Reads calls character by character, and writes them to a sink. */
export interface CallBody {
  push(char: string): CallState;
}

/** Calls that marks start, in content. */
export interface MarkedForm {
  opens: readonly string[];
  /** Follows the last call of a mark; may be absent. */
  close: string | null;
  /** An answer may start with a call, without a mark. */
  isOpen?: boolean;
  /** The start of a call after another that was malformed, without a mark. */
  restart?: string;
  body(sink: PieceSink): CallBody;
}

/** Maximum length of a call. */
export const MAX_CALL = 1_048_576;
/** Number of characters that are searched for marks at once. */
const CHUNK = 256;
/** Maximum number of characters that are read again, because they follow a mark without a call. */
const MAX_AGAIN = 1_048_576;

/**
 * Reads content with calls between marks. A text after a mark that is no call is content, with the mark, and is searched for the next
 * call: no character is lost.
 */
export class MarkedCalls implements TextReader {
  readonly #form: MarkedForm;
  readonly #sink: PieceSink;
  /** Texts to read, the next one last. */
  readonly #pending: string[] = [];
  /** Start of a mark at the end of the content. */
  #rest = '';
  #body: CallBody | null;
  /** The mark before the current call; empty after other calls. */
  #mark = '';
  /** Text after the mark or the last complete call. */
  #raw = '';
  /** The last thing read, if it is a call or one that is malformed. */
  #after: 'call' | 'malformed' | null = null;
  #again = 0;

  constructor(form: MarkedForm, sink: PieceSink) {
    this.#form = form;
    this.#sink = sink;
    this.#body = form.isOpen ? form.body(sink) : null;
  }

  push(text: string): void {
    this.#pending.push(text);
    for (let next = this.#pending.pop(); next !== undefined; next = this.#pending.pop()) {
      if (next.length > CHUNK) this.#pending.push(next.slice(CHUNK));
      const chunk = next.slice(0, CHUNK);
      if (this.#body) this.#readCall(chunk, this.#body);
      else this.#readContent(this.#rest + chunk);
    }
  }

  end(): void {
    while (this.#body) this.push(this.#fail());
    this.#sink.content(this.#rest);
    this.#rest = '';
  }

  /** Reads content up to a mark. */
  #readContent(text: string): void {
    const { opens, close, restart, body } = this.#form;
    const marks = [...opens, ...(close === null ? [] : [close])];
    if (this.#after === 'malformed' && restart !== undefined) marks.push(restart);
    const { before, mark, after } = splitAtMark(text, marks);
    this.#sink.content(before);
    if (before.trim() !== '' && this.#after === 'call') this.#after = null;
    this.#rest = mark === null ? after : '';
    if (mark === null) return;
    this.#pending.push(mark === restart ? mark + after : after);
    if (mark === close) {
      if (this.#after !== 'call') this.#sink.content(mark);
      this.#after = null;
      return;
    }
    this.#body = body(this.#sink);
    this.#mark = mark === restart ? '' : mark;
    this.#raw = '';
  }

  #readCall(text: string, body: CallBody): void {
    for (let at = 0; at < text.length; at++) {
      const char = text[at]!;
      this.#raw += char;
      const state = this.#raw.length > MAX_CALL ? 'failed' : body.push(char);
      if (state === 'more') continue;
      if (state !== 'call') this.#pending.push(text.slice(at + 1));
      if (state === 'failed') {
        this.#pending.push(this.#fail());
        return;
      }
      this.#sink.endCall();
      this.#mark = '';
      this.#raw = '';
      this.#after = 'call';
      if (state === 'call') continue;
      this.#body = null;
      return;
    }
  }

  /** Ends a text that is no call. Returns the part of it that may have others. */
  #fail(): string {
    const raw = this.#raw;
    const mark = this.#mark;
    this.#body = null;
    this.#raw = '';
    this.#mark = '';
    // The parts of a call that were sent are in no content.
    if (!this.#sink.dropCall()) return '';
    const { restart } = this.#form;
    const start = restart === undefined ? -1 : raw.indexOf(restart);
    if (mark !== '' || start !== -1) this.#after = 'malformed';
    this.#again += raw.length;
    this.#sink.content(mark);
    // The same text must not be tried twice.
    const tried = this.#again > MAX_AGAIN ? raw.length : start + 1;
    this.#sink.content(raw.slice(0, tried));
    return raw.slice(tried);
  }
}
