import { splitAtMark } from './marked-text.ts';
import type { PieceSink, TextReader } from './tool-style.ts';

/** Marks around reasoning at the start of an answer. */
export interface ReasoningMarks {
  open: string;
  close: string;
  /** Whether a chat template, given as its source, has them. */
  isUsedBy(template: string): boolean;
}

export const reasoningMarks: readonly ReasoningMarks[] = [
  {
    open: '<|channel>thought',
    close: '<channel|>',
    isUsedBy: (template) => template.includes('<|channel>thought'),
  },
  { open: '<think>', close: '</think>', isUsedBy: (template) => template.includes('</think>') },
  { open: '[THINK]', close: '[/THINK]', isUsedBy: (template) => template.includes('[/THINK]') },
];

/** Reads reasoning before an answer's content, and leaves the rest to another reader. */
export class ThinkingReader implements TextReader {
  readonly #marks: Pick<ReasoningMarks, 'open' | 'close'>;
  readonly #sink: Pick<PieceSink, 'reasoning'>;
  readonly #next: TextReader;
  #state: 'before' | 'within' | 'after';
  #rest = '';

  /** `isOpen`: whether the prompt ends with the opening mark. */
  constructor(
    marks: Pick<ReasoningMarks, 'open' | 'close'>,
    isOpen: boolean,
    sink: PieceSink,
    next: TextReader,
  ) {
    this.#marks = marks;
    this.#sink = sink;
    this.#next = next;
    this.#state = isOpen ? 'within' : 'before';
  }

  push(text: string): void {
    if (this.#state === 'after') {
      this.#next.push(text);
      return;
    }
    this.#rest += text;
    if (this.#state === 'before') {
      const { open } = this.#marks;
      const start = this.#rest.trimStart();
      if (start.length < open.length && open.startsWith(start)) return;
      if (!start.startsWith(open)) {
        this.#state = 'after';
        this.#next.push(this.#take());
        return;
      }
      this.#state = 'within';
      this.#rest = start.slice(open.length);
    }
    const { before, mark, after } = splitAtMark(this.#rest, [this.#marks.close]);
    this.#sink.reasoning(before);
    this.#rest = after;
    if (mark === null) return;
    this.#state = 'after';
    this.#next.push(this.#take());
  }

  end(): void {
    if (this.#state === 'within') this.#sink.reasoning(this.#take());
    else if (this.#rest !== '') this.#next.push(this.#take());
    this.#next.end();
  }

  #take(): string {
    const rest = this.#rest;
    this.#rest = '';
    return rest;
  }
}
