import type { TemplateBudget } from '../template-budget.ts';
import type { Value } from './values.ts';

/** Thrown for a read that a prefix of the conversation would answer differently: each prefix must be rendered separately. */
const READS_LATER = new Error('the template reads later messages');

/** The text after the messages of a prefix, and its position. */
export interface Ending {
  at: number;
  tail: string;
}

/**
 * Records what a rendering reads of the conversation. While the template loops over the messages, it renders the ends of prefixes, too:
 * nothing that it has read by then depends on later messages.
 */
export class TurnRecorder {
  /** Prefixes with fewer messages may render differently. */
  firstMessages = 0;
  /** Endings with a generation prompt, by the number of messages before. */
  readonly prompts = new Map<number, Ending>();
  /** Endings without, by the number of messages before. */
  readonly beginnings = new Map<number, Ending>();
  readonly #messages: readonly Value[];
  readonly #turns: ReadonlySet<number>;
  /** Number of messages before each list of `tail`. */
  readonly #starts = new Map<object, number>();
  /** The message whose loop body is running; −1 before the loop over messages, the number of messages after it. */
  #position = -1;
  #isEnding = false;

  /** `turns`: numbers of the messages to locate. */
  constructor(messages: readonly Value[], turns: readonly number[]) {
    this.#messages = messages;
    this.#turns = new Set(turns);
  }

  messagesFrom(start: number): readonly Value[] {
    return start === 0 ? this.#messages : this.#messages.slice(start);
  }

  /** The same, as a list that records what is read of it. */
  tail(start: number): readonly Value[] {
    const list = new Proxy(this.messagesFrom(start) as Value[], {
      get: (items, key) => {
        if (key === 'length') this.#readLater();
        else if (Object.hasOwn(items, key)) this.#read(start + Number(key));
        return items[key as keyof typeof items];
      },
    });
    this.#starts.set(list, start);
    return list;
  }

  /** `list[skipped:]`; null for a list that is not recorded. */
  tailOf(list: readonly Value[], skipped: number, budget: TemplateBudget): readonly Value[] | null {
    const start = this.#starts.get(list);
    if (start === undefined) return null;
    budget.read(this.#messages.length);
    if (skipped > 0) this.#read(start + skipped - 1);
    return this.tail(Math.min(this.#messages.length, start + skipped));
  }

  /** Number of messages before `list` if a top-level loop over it, which starts now, renders the messages; null for others. */
  mainLoop(list: Value): number | null {
    if (this.#position !== -1 || !Array.isArray(list)) return null;
    return this.#starts.get(list) ?? null;
  }

  /**
   * Called before message `index` is rendered, and with the number of messages after the last. `renderEnding` renders what the template
   * writes after the messages, and leaves no trace.
   */
  arrive(index: number, renderEnding: (addGenerationPrompt: boolean) => Ending): void {
    this.#position = index;
    this.#isEnding = true;
    if (this.#turns.has(index)) this.prompts.set(index, renderEnding(true));
    if (this.#turns.has(index - 1)) this.beginnings.set(index, renderEnding(false));
    this.#isEnding = false;
  }

  /** Called when the template reads `add_generation_prompt`. */
  readGenerationPrompt(): void {
    if (!this.#isEnding && !this.#isAfterMessages) throw READS_LATER;
  }

  /** Called when the template changes a namespace, which would be seen after the end of a prefix. */
  write(): void {
    if (this.#isEnding) throw READS_LATER;
  }

  #read(index: number): void {
    if (this.#isEnding) throw READS_LATER;
    if (this.#position === -1) this.firstMessages = Math.max(this.firstMessages, index + 1);
    else if (index > this.#position) throw READS_LATER;
  }

  #readLater(): void {
    if (this.#isEnding || !this.#isAfterMessages) throw READS_LATER;
  }

  get #isAfterMessages(): boolean {
    return this.#position === this.#messages.length;
  }
}
