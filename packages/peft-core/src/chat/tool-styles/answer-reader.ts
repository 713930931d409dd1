import { randomInt } from 'node:crypto';
import type { Tool } from '../message.ts';
import { ThinkingReader } from './thinking.ts';
import type { AnswerPiece, AnswerReader, PieceSink, TextReader } from './tool-style.ts';
import type { AnswerForm } from './tool-styles.ts';

export interface AnswerReaderOptions extends AnswerForm {
  /** Tools that the answer may call; with none, text in the form of a call is content. */
  tools: readonly Tool[];
  /** The text that the prompt ends with; a few dozen characters are enough. */
  promptEnd: string;
  /** The answer may have several calls; default true. */
  parallel?: boolean;
  /** A grammar restricts the answer, so that no call can be malformed; default false. */
  isConstrained?: boolean;
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** Reads an answer of a model in its form. Null if all of the answer is content. */
export function createAnswerReader({
  template,
  style,
  reasoning,
  tools,
  promptEnd,
  parallel = true,
  isConstrained = false,
}: AnswerReaderOptions): AnswerReader | null {
  const isRead = style !== null && (style.always || tools.length > 0);
  if (!isRead && !reasoning) return null;
  const pieces = new Pieces({
    idLength: style?.idLength ?? null,
    canCall: isRead && tools.length > 0,
    maxCalls: parallel ? Number.POSITIVE_INFINITY : 1,
    holds: !isConstrained,
  });
  let reader: TextReader = isRead
    ? style.reader(tools, pieces, template)
    : { push: (text) => pieces.content(text), end() {} };
  if (reasoning) {
    const isOpen = promptEnd.trimEnd().endsWith(reasoning.open);
    reader = new ThinkingReader(reasoning, isOpen, pieces, reader);
  }
  return {
    get isOver() {
      return pieces.isOver;
    },
    push(text) {
      reader.push(text);
      return pieces.take();
    },
    end() {
      reader.end();
      pieces.end();
      return pieces.take();
    },
  };
}

/**
 * Collects pieces. Line ends and spaces around reasoning and calls belong to the template, so they are in no piece. Content without either
 * stays as it is. After the last call that the answer may have, there are no pieces.
 */
class Pieces implements PieceSink {
  readonly #idLength: number | null;
  /** True if a call may follow content. */
  readonly #canCall: boolean;
  #pieces: AnswerPiece[] = [];
  /** Spaces at the end of reasoning and of content. */
  #spaces = { reasoning: '', content: '' };
  #has = { reasoning: false, content: false };
  /** Spaces at the start of content are the template's: after reasoning or a call, and in an answer with a grammar. */
  #isAfterOther: boolean;
  readonly holds: boolean;
  readonly #maxCalls: number;
  /** Calls that have not ended yet. */
  #open: { name: string; arguments: string }[] = [];
  /** Number of calls that were sent, and of those that ended. */
  #calls = 0;
  #ended = 0;

  constructor(options: { idLength: number | null; canCall: boolean; maxCalls: number; holds: boolean }) {
    this.#idLength = options.idLength;
    this.#canCall = options.canCall;
    this.#maxCalls = options.maxCalls;
    this.holds = options.holds;
    this.#isAfterOther = !options.holds;
  }

  get isOver(): boolean {
    return this.#ended >= this.#maxCalls;
  }

  take(): AnswerPiece[] {
    const pieces = this.#pieces;
    this.#pieces = [];
    return pieces;
  }

  reasoning(text: string): void {
    if (this.isOver) return;
    const shown = this.#shown('reasoning', text, true);
    if (shown !== '') this.#pieces.push({ reasoning: shown });
    this.#isAfterOther = true;
  }

  content(text: string): void {
    if (this.isOver) return;
    const shown = this.#shown('content', text, this.#isAfterOther);
    if (shown !== '') this.#pieces.push({ content: shown });
  }

  startCall(name: string): void {
    this.#open.push({ name, arguments: '' });
    if (!this.holds) this.#sendStart(name);
  }

  addArguments(text: string): void {
    this.#open.at(-1)!.arguments += text;
    if (!this.holds) this.#sendArguments(text);
  }

  endCall(): void {
    for (const { name, arguments: text } of this.#open) {
      if (this.isOver) break;
      if (this.holds) {
        this.#sendStart(name);
        this.#sendArguments(text);
      }
      this.#ended += 1;
    }
    this.#open = [];
  }

  dropCall(): boolean {
    const wereSent = !this.holds && this.#open.length > 0;
    this.#open = [];
    return !wereSent;
  }

  #sendStart(name: string): void {
    if (this.#calls >= this.#maxCalls) return;
    this.#spaces.content = '';
    this.#isAfterOther = true;
    this.#has.content = false;
    this.#pieces.push({ call: { index: this.#calls++, id: this.#id(), name, arguments: '' } });
  }

  #sendArguments(text: string): void {
    if (this.isOver) return;
    const index = this.#calls - 1;
    const last = this.#pieces.at(-1);
    if (last && 'call' in last && last.call.index === index && last.call.id === undefined)
      last.call.arguments += text;
    else if (text !== '') this.#pieces.push({ call: { index, arguments: text } });
  }

  /** Ends an answer: spaces at its end are content unless it has calls. */
  end(): void {
    const { content } = this.#spaces;
    if (content !== '' && this.#calls === 0) this.#pieces.push({ content });
    this.#spaces = { reasoning: '', content: '' };
  }

  #shown(kind: 'reasoning' | 'content', text: string, dropsStart: boolean): string {
    const all = this.#spaces[kind] + text;
    const start = !this.#has[kind] && dropsStart ? all.trimStart() : all;
    const shown = kind === 'content' && !this.#canCall ? start : start.trimEnd();
    this.#spaces[kind] = start.slice(shown.length);
    if (shown !== '') this.#has[kind] = true;
    return shown;
  }

  #id(): string {
    const length = this.#idLength ?? 24;
    const id = Array.from({ length }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
    return this.#idLength === null ? `call_${id}` : id;
  }
}
