import { Interpreter } from '@huggingface/jinja';
import { GraftError } from '../errors.ts';
import type { Message } from './message.ts';

/** Steps that any template may take, and more for each message: the longest in use take some 300 for one. */
const STEPS = 200_000;
const STEPS_PER_MESSAGE = 5_000;
/** Characters that a step may write or copy. */
const CHARACTERS_PER_STEP = 100;
/** How often a template may copy the conversation. */
const COPIES = 20;
/** Of one text or list while a conversation is rendered. */
const LONGEST_TEXT = 1 << 26;
const LONGEST_LIST = 100_000;

/** What rendering one conversation may cost. Templates come with models, and a loop in one need not end. */
export class TemplateBudget {
  #left: number;

  constructor(messages: readonly Message[]) {
    const characters = messages.reduce((sum, { content }) => sum + (content?.length ?? 0), 0);
    this.#left = STEPS + STEPS_PER_MESSAGE * messages.length + (COPIES * characters) / CHARACTERS_PER_STEP;
  }

  /** One step, which has made a text or a list of this length. Throws `invalid_chat_template`. */
  spend(text = 0, list = 0): void {
    if (text > LONGEST_TEXT || list > LONGEST_LIST) throw tooCostly('makes a text or a list without end');
    this.#left -= 1 + text / CHARACTERS_PER_STEP + list;
    if (this.#left < 0)
      throw tooCostly(`takes more than ${STEPS} steps and ${STEPS_PER_MESSAGE} for each message`);
  }
}

function tooCostly(what: string): GraftError {
  return new GraftError('invalid_chat_template', `the chat template ${what}`, { param: 'model' });
}

/** What of the library's interpreter is used here; its own types do not resolve. */
interface JinjaInterpreter {
  run(program: unknown): { value: unknown };
  evaluate(statement: { type: string } | undefined, environment: unknown): { value: unknown };
}

const LibraryInterpreter = Interpreter as new (environment: unknown) => JinjaInterpreter;

/** Any Jinja, within a budget. */
export class BoundedInterpreter extends LibraryInterpreter {
  readonly #budget: TemplateBudget;

  constructor(environment: unknown, budget: TemplateBudget) {
    super(environment);
    this.#budget = budget;
  }

  override evaluate(...given: Parameters<JinjaInterpreter['evaluate']>): { value: unknown } {
    this.#budget.spend();
    const result = super.evaluate(...given);
    const { value } = result;
    if (typeof value === 'string') this.#budget.spend(value.length);
    // A list that was made once is looked at again and again for nothing.
    else if (Array.isArray(value) && given[0]?.type !== 'Identifier') this.#budget.spend(0, value.length);
    return result;
  }
}

/** Python's range, as a list. */
export function boundedRange(start: number, stop?: number, step = 1): number[] {
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  const length = Math.max(0, Math.ceil((to - from) / step));
  if (!(length <= LONGEST_LIST)) throw tooCostly(`asks for a range of ${length} numbers`);
  return Array.from({ length }, (_, i) => from + i * step);
}
