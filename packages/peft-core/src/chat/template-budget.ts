import { GraftError } from '../errors.ts';
import { lengthOfMessage, type Message, type Tool } from './message.ts';

/** Number of steps allowed for any template, plus those per message: the longest templates in use take about 300 per message. */
const STEPS = 200_000;
const STEPS_PER_MESSAGE = 5_000;
/** Number of characters that a step may write or copy. */
const CHARACTERS_PER_STEP = 100;
/** Number of times that a template may copy, compare or search the conversation. */
const COPIES = 60;
/** Maximum length of one text or list in a rendering. */
const LONGEST_TEXT = 1 << 26;
const LONGEST_LIST = 100_000;

/** Limits the cost of rendering one conversation. Templates come with models, and their loops may not terminate. */
export class TemplateBudget {
  #left: number;

  constructor(messages: readonly Message[], tools: readonly Tool[] = []) {
    const toolLength = tools.length === 0 ? 0 : JSON.stringify(tools).length;
    const characters = messages.reduce((sum, message) => sum + lengthOfMessage(message), toolLength);
    this.#left = STEPS + STEPS_PER_MESSAGE * messages.length + (COPIES * characters) / CHARACTERS_PER_STEP;
  }

  /** Charges one step that produced a text or a list of this length. Throws `invalid_chat_template`. */
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

/** Python's range, as a list. */
export function boundedRange(start: number, stop?: number, step = 1): number[] {
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  const length = Math.max(0, Math.ceil((to - from) / step));
  if (!(length <= LONGEST_LIST)) throw tooCostly(`asks for a range of ${length} numbers`);
  return Array.from({ length }, (_, i) => from + i * step);
}
