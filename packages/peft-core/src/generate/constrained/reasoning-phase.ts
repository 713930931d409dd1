import { splitAtMark } from '../../chat/tool-styles/marked-text.ts';
import type { ConstraintFormat } from '../../chat/tool-styles/tool-style.ts';
import type { AnswerForm } from '../../chat/tool-styles/tool-styles.ts';
import type { Tokenizer } from '../../text/index.ts';

/** Marks around reasoning, and what an answer has between reasoning and the part that its grammar restricts. */
interface Marks {
  open: string;
  close: string;
  between: ConstraintFormat;
}

/** Line ends and spaces that a template may write around reasoning. Unlimited ones would let a model write nothing else. */
const SPACES: ConstraintFormat = {
  type: 'or',
  elements: ['', ' ', '\n', '  ', ' \n', '\n ', '\n\n'].map((value) => ({ type: 'const_string', value })),
};

/** By mark and number of its characters that an answer has: the tokens that write the rest of the mark and then more than spaces. */
const overruns = new WeakMap<Tokenizer, Map<string, number[][]>>();

/**
 * Follows the reasoning before a constrained answer. The grammar has the mark that opens it, unless the prompt does, but neither its text
 * nor the mark that closes it, so reasoning costs no masks. Tokens that write more than the mark are excluded, so that grammar and text
 * change over at the same token.
 */
export class ReasoningPhase {
  readonly #marks: Marks;
  readonly #isOpenInPrompt: boolean;
  readonly #overrunsOf: (mark: string) => number[][];
  #state: 'before' | 'within' | 'after';
  /** The end of the answer that may become the mark that opens or closes reasoning. */
  #held = '';

  private constructor(marks: Marks, isOpen: boolean, overrunsOf: (mark: string) => number[][]) {
    this.#marks = marks;
    this.#isOpenInPrompt = isOpen;
    this.#state = isOpen ? 'within' : 'before';
    this.#overrunsOf = overrunsOf;
  }

  /**
   * Null if answers have no reasoning: the template has no marks for it, or closes it in the prompt, as it does with `enable_thinking` false.
   * `promptEnd`: the text that the prompt ends with. `size`: rows of the embedding table.
   */
  static of(form: AnswerForm, promptEnd: string, tokenizer: Tokenizer, size: number): ReasoningPhase | null {
    const marks = marksOf(form);
    const end = promptEnd.trimEnd();
    if (!marks || end.endsWith(marks.close)) return null;
    return new ReasoningPhase(marks, end.endsWith(marks.open), (mark) => overrunsOf(tokenizer, mark, size));
  }

  /** The form of an answer with all but its reasoning. */
  around(answer: ConstraintFormat): ConstraintFormat {
    const { open, between } = this.#marks;
    if (this.#isOpenInPrompt) return { type: 'sequence', elements: [between, answer] };
    const opened: ConstraintFormat = {
      type: 'sequence',
      elements: [{ type: 'const_string', value: open }, between],
    };
    const maybe: ConstraintFormat = { type: 'or', elements: [opened, { type: 'const_string', value: '' }] };
    return { type: 'sequence', elements: [SPACES, maybe, answer] };
  }

  /** The next token is a part of reasoning, which no grammar restricts. */
  get isFree(): boolean {
    return this.#state === 'within';
  }

  /** Tokens that are excluded although the grammar may allow them. */
  excluded(): readonly number[] {
    if (this.#state === 'after') return [];
    const { open, close } = this.#marks;
    return this.#overrunsOf(this.#state === 'before' ? open : close)[this.#held.length]!;
  }

  /** Reads the answer's next text, with the marks. */
  push(text: string): void {
    if (this.#state === 'after') return;
    this.#held += text;
    const { open, close } = this.#marks;
    if (this.#state === 'before') {
      this.#held = this.#held.trimStart();
      if (this.#held.length < open.length && open.startsWith(this.#held)) return;
      const isOpened = this.#held.startsWith(open);
      this.#state = isOpened ? 'within' : 'after';
      if (!isOpened) return;
      this.#held = this.#held.slice(open.length);
    }
    const { mark, after } = splitAtMark(this.#held, [close]);
    this.#held = after;
    if (mark === null) return;
    this.#state = 'after';
    if (after.trim() !== '') throw new Error('a token has the end of the reasoning and more');
  }
}

function marksOf({ style, reasoning }: AnswerForm): Marks | null {
  if (style?.reasoning) {
    const { open, close, next } = style.reasoning;
    return { open, close, between: { type: 'const_string', value: next } };
  }
  return reasoning && { open: reasoning.open, close: reasoning.close, between: SPACES };
}

function overrunsOf(tokenizer: Tokenizer, mark: string, size: number): number[][] {
  const known = overruns.get(tokenizer) ?? new Map<string, number[][]>();
  overruns.set(tokenizer, known);
  let found = known.get(mark);
  if (!found) {
    found = findOverruns(tokenizer, mark, size);
    known.set(mark, found);
  }
  return found;
}

function findOverruns(tokenizer: Tokenizer, mark: string, size: number): number[][] {
  const found = Array.from(mark, (): number[] => []);
  for (const { id, text } of tokenizer.tokensWith(mark.at(-1)!, size)) {
    const whole = text.indexOf(mark);
    for (const [length, ids] of found.entries()) {
      const rest = mark.slice(length);
      const at = whole !== -1 ? whole + mark.length : text.startsWith(rest) ? rest.length : null;
      if (at !== null && text.slice(at).trim() !== '') ids.push(id);
    }
  }
  return found;
}
