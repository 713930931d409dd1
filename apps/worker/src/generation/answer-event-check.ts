import type { GeneratorMessages } from './generator-protocol.ts';

/** Maximum number of unread events of one answer. Clients may be slow, and an answer may be as long as the model's context. */
const maxUnread = 200_000;

/** Checks the order of a generator's events for one request: the prompt length once, non-decreasing token counts, one end. */
export class AnswerEventCheck {
  readonly #maxTokens: number;
  readonly #unread: () => number;
  #promptTokens: number | null = null;
  #completionTokens = 0;
  /** Events without a new token. */
  #repeated = 0;
  #isOver = false;

  /** `maxTokens`: the requested maximum; null: unlimited. `unread`: returns the number of events that the reader has not taken. */
  constructor(maxTokens: number | null, unread: () => number) {
    this.#maxTokens = maxTokens ?? Number.POSITIVE_INFINITY;
    this.#unread = unread;
  }

  /** Why the event is invalid; null where it is valid. */
  refuse(event: GeneratorMessages['event']): string | null {
    if (this.#isOver) return `${event.type} after an answer's end`;
    this.#isOver = event.type === 'done' || event.type === 'refused';
    if (event.type === 'refused') return null;
    if (!('promptTokens' in event) || event.type === 'start' || event.type === 'inputs')
      return `${event.type} for a completion`;
    const isOther = this.#promptTokens !== null && this.#promptTokens !== event.promptTokens;
    if (isOther || (event.type === 'read' && this.#promptTokens !== null))
      return 'a prompt of another length';
    this.#promptTokens = event.promptTokens;
    if (event.type === 'read') return null;
    const { completionTokens } = event;
    if (completionTokens < this.#completionTokens) return 'fewer tokens than before';
    // Text that was held back is sent with the previous token's count.
    if (event.type === 'token' && completionTokens === this.#completionTokens) this.#repeated += 1;
    this.#completionTokens = completionTokens;
    if (this.#repeated > 2 || completionTokens > this.#maxTokens) return 'more tokens than requested';
    return this.#unread() > maxUnread ? 'more than anybody reads' : null;
  }
}
