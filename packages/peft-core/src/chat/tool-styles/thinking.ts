import type { Message } from '../message.ts';
import { splitAtMark } from './marked-text.ts';
import type { PieceSink, TextReader } from './tool-style.ts';

/** Marks around reasoning at the start of an answer. */
export interface ReasoningMarks {
  open: string;
  close: string;
  /** Returns true if a chat template, given as its source, has them. */
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

/** A message of training data, split into its reasoning and the content after it. Either is an empty text if there is none. */
interface SplitMessage {
  reasoning: string;
  content: string;
}

/**
 * Splits an assistant message into reasoning and content. The reasoning is in its field, or at the start of its content up to the mark that
 * closes it, as in data for models that write it there. The opening mark may be missing, since prompts end with it.
 */
export function splitReasoning({ role, content, reasoning = '' }: Message): SplitMessage {
  const text = content ?? '';
  if (role !== 'assistant' || reasoning.trim() !== '') return { reasoning, content: text };
  for (const { open, close } of reasoningMarks) {
    const end = text.indexOf(close);
    if (end === -1) continue;
    const opening = text.slice(0, end).indexOf(open);
    if (text.slice(0, Math.max(0, opening)).trim() !== '') break;
    const from = opening === -1 ? 0 : opening + open.length;
    return { reasoning: text.slice(from, end), content: text.slice(end + close.length) };
  }
  return { reasoning: '', content: text };
}

/** The mark of reasoning that a prompt ends with. */
export interface EndingReasoning {
  marks: ReasoningMarks;
  /** Where it begins in the prompt, in UTF-16 units. */
  from: number;
  /** The answer continues the reasoning; otherwise the prompt closes it without any. */
  isOpen: boolean;
  /** White space after an opened mark. */
  space: string;
}

/** The reasoning that a prompt opens, or leaves empty, at its end. Null for a prompt that does neither. */
export function endingReasoning(prompt: string): EndingReasoning | null {
  const ends = prompt.trimEnd();
  for (const marks of reasoningMarks) {
    if (ends.endsWith(marks.open)) {
      const from = ends.length - marks.open.length;
      return { marks, from, isOpen: true, space: prompt.slice(ends.length) };
    }
    if (!ends.endsWith(marks.close)) continue;
    const opened = ends.slice(0, -marks.close.length).trimEnd();
    if (opened.endsWith(marks.open))
      return { marks, from: opened.length - marks.open.length, isOpen: false, space: '' };
  }
  return null;
}

/** `text` without the reasoning at its start that has no text, and the white space after that. */
export function withoutEmptyReasoning(text: string, { open, close }: ReasoningMarks): string {
  const start = text.trimStart();
  const rest = start.startsWith(open) ? start.slice(open.length).trimStart() : '';
  return rest.startsWith(close) ? rest.slice(close.length).trimStart() : text;
}

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
