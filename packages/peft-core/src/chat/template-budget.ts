import { lengthOfMessage, type Message, type Tool } from './message.ts';

/** Number of steps allowed for any template, plus those per message: the longest templates in use take about 500 per message. */
const STEPS = 200_000;
const STEPS_PER_MESSAGE = 5_000;
/** Number of steps allowed for a conversation however long it is, some seconds: that of 100,000 messages in the longest templates. */
const MAX_STEPS = 50_000_000;
/** Number of characters that a step may read, write or copy. */
const CHARACTERS_PER_STEP = 100;
/** Number of times that a template may copy, compare or search the conversation. */
const COPIES = 60;
/** Maximum length of one text or list in a rendering. */
const LONGEST_TEXT = 1 << 26;
const LONGEST_LIST = 100_000;
/** Items of a list that are read or copied in one step. */
const ITEMS_PER_STEP = 16;
/** Length of a searched part that costs no more than a shorter one: a text that repeats itself may be compared with the part everywhere. */
const SEARCHED_AT_ONCE = 16;

/**
 * Limits the cost of rendering one conversation, in steps, which depend only on template and conversation. Templates come with models and
 * jobs, and their loops may not terminate. Everything that walks a value, a text or a list charges the budget as it walks.
 */
export class TemplateBudget {
  readonly #allowed: number;
  #left: number;

  /** `renderings`: of the conversation or a part of it, which share the budget. */
  constructor(messages: readonly Message[], tools: readonly Tool[] = [], renderings = 1) {
    const toolLength = tools.length === 0 ? 0 : JSON.stringify(tools).length;
    const characters = messages.reduce((sum, message) => sum + lengthOfMessage(message), toolLength);
    const each = STEPS + STEPS_PER_MESSAGE * messages.length + (COPIES * characters) / CHARACTERS_PER_STEP;
    this.#allowed = Math.min(MAX_STEPS, Math.ceil(each) * renderings);
    this.#left = this.#allowed;
  }

  get spent(): number {
    return this.#allowed - this.#left;
  }

  /** Charges one step that reads or makes a text of `characters` or a list, one step for each of its `items`. Throws TooCostly. */
  spend(characters = 0, items = 0): void {
    if (characters > LONGEST_TEXT || items > LONGEST_LIST)
      throw new TooCostly('makes a text or a list without end');
    this.#charge(1 + characters / CHARACTERS_PER_STEP + items);
  }

  /** Charges for a list, or an object's fields, that are read or copied but not made. */
  read(items: number): void {
    this.#charge(1 + items / ITEMS_PER_STEP);
  }

  /** Charges for looking for `part` everywhere in a text. */
  search(text: string, part: string): void {
    const compared = Math.max(0, text.length - part.length) * (part.length / SEARCHED_AT_ONCE);
    this.#charge(1 + (text.length + compared) / CHARACTERS_PER_STEP);
  }

  #charge(steps: number): void {
    if (steps <= this.#left) {
      this.#left -= steps;
      return;
    }
    // The step is not taken, and no other may be.
    this.#left = 0;
    const most = Math.floor(this.#allowed);
    throw new TooCostly(`takes more than ${most} steps, the limit for a conversation of this length`);
  }
}

export class TooCostly extends Error {}

/** Python's range, as a list. */
export function boundedRange(start: number, stop?: number, step = 1): number[] {
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  const length = Math.max(0, Math.ceil((to - from) / step));
  if (!(length <= LONGEST_LIST)) throw new TooCostly(`asks for a range of ${length} numbers`);
  return Array.from({ length }, (_, i) => from + i * step);
}
