import type { GeneratorMessages } from './generator-protocol.ts';

/** Events of one answer that nobody has read: clients may be slow, and answers have as many tokens as a model's context holds. */
const mostUnread = 200_000;

/** What a generator may say next of one request: its prompt's length once, tokens that grow in number, one end. */
export class AnswerTalk {
  readonly #maxTokens: number;
  readonly #unread: () => number;
  #promptTokens: number | null = null;
  #completionTokens = 0;
  /** Events that brought no new token. */
  #repeated = 0;
  #isOver = false;

  /** `maxTokens`: that were asked for; null: as many as fit. `unread`: how many events wait for their reader. */
  constructor(maxTokens: number | null, unread: () => number) {
    this.#maxTokens = maxTokens ?? Number.POSITIVE_INFINITY;
    this.#unread = unread;
  }

  /** Null: it may. Else why not. */
  refuse(event: GeneratorMessages['event']): string | null {
    if (this.#isOver) return `${event.type} after an answer's end`;
    this.#isOver = event.type === 'done' || event.type === 'refused';
    if (event.type === 'refused') return null;
    const isOther = this.#promptTokens !== null && this.#promptTokens !== event.promptTokens;
    if (isOther || (event.type === 'read' && this.#promptTokens !== null))
      return 'a prompt of another length';
    this.#promptTokens = event.promptTokens;
    if (event.type === 'read') return null;
    const { completionTokens } = event;
    if (completionTokens < this.#completionTokens) return 'fewer tokens than before';
    // Text that was held back comes with the token before it.
    if (event.type === 'token' && completionTokens === this.#completionTokens) this.#repeated += 1;
    this.#completionTokens = completionTokens;
    if (this.#repeated > 2 || completionTokens > this.#maxTokens) return 'more tokens than were asked for';
    return this.#unread() > mostUnread ? 'more than anybody reads' : null;
  }
}
