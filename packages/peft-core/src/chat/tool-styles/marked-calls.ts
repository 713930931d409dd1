import type { CallBody } from './json-call.ts';
import { splitAtMark } from './marked-text.ts';
import type { PieceSink, TextReader } from './tool-style.ts';

/** Calls that a mark starts, in content. */
export interface MarkedForm {
  open: string;
  /** Follows a call; may be absent. */
  close: string | null;
  /** Reads a call after the mark, and writes it to the sink. */
  body(sink: PieceSink): CallBody;
}

/** Reads content with calls between marks. A text after a mark that is no call is content, with the mark. */
export class MarkedCalls implements TextReader {
  readonly #form: MarkedForm;
  readonly #marks: readonly string[];
  readonly #sink: PieceSink;
  /** Text that was not yet read, outside a call. */
  #rest = '';
  #body: CallBody | null = null;
  /** Text of the current call with its mark, until it is known to be a call. */
  #raw: string | null = null;
  /** Whether the last thing read is a call. */
  #isAfterCall = false;

  constructor(form: MarkedForm, sink: PieceSink) {
    this.#form = form;
    this.#marks = form.close === null ? [form.open] : [form.open, form.close];
    this.#sink = {
      content: (text) => sink.content(text),
      reasoning: (text) => sink.reasoning(text),
      startCall: (name) => {
        this.#raw = null;
        sink.startCall(name);
      },
      addArguments: (text) => sink.addArguments(text),
    };
  }

  push(text: string): void {
    let rest = this.#rest + text;
    this.#rest = '';
    while (rest !== '') {
      if (this.#body) {
        rest = this.#readCall(rest, this.#body);
        continue;
      }
      const { before, mark, after } = splitAtMark(rest, this.#marks);
      this.#sink.content(before);
      if (before.trim() !== '') this.#isAfterCall = false;
      if (mark === null) {
        this.#rest = after;
        return;
      }
      rest = after;
      if (mark === this.#form.open) {
        this.#raw = mark;
        this.#body = this.#form.body(this.#sink);
      } else if (!this.#isAfterCall) this.#sink.content(mark);
    }
  }

  end(): void {
    this.#sink.content(this.#rest + (this.#raw ?? ''));
    this.#rest = '';
    this.#raw = null;
    this.#body = null;
  }

  /** Returns the text after the call. */
  #readCall(text: string, body: CallBody): string {
    for (let at = 0; at < text.length; at++) {
      const char = text[at]!;
      if (this.#raw !== null) this.#raw += char;
      const state = body.push(char);
      if (state === 'more') continue;
      this.#body = null;
      this.#isAfterCall = state === 'done';
      const raw = this.#raw;
      this.#raw = null;
      if (state === 'done') return text.slice(at + 1);
      // The last character may start a mark.
      this.#sink.content(raw!.slice(0, -1));
      return text.slice(at);
    }
    return '';
  }
}
