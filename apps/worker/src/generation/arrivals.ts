import type { Failed } from '../processes/forked-process.ts';
import type { GeneratorMessages } from './generator-protocol.ts';

type ChildEvent<E = GeneratorMessages['event']> = E extends { id: number } ? Omit<E, 'id'> : never;
export type Arrived = Exclude<ChildEvent, { type: 'refused' }> | Failed;

/** Maximum size of events that a reader has not taken, in bytes about: an answer of 2,000 tokens with 20 probabilities each has 3 MB. */
const maxUnread = 8 * 2 ** 20;
/** Bytes of an event without its texts, and of one of the probabilities of a token, about. */
const bytesOf = { event: 200, likely: 64 };

const unread: Failed = {
  type: 'failed',
  fault: {
    code: 'answer_not_read',
    message: 'the answer was ended, because its client reads too slowly',
    param: null,
    fault: 'user',
  },
};

/** The events of one request that its reader has not taken. If these become too many, only a failure is left of them. */
export class Arrivals {
  #events: Arrived[] = [];
  #size = 0;
  #isOver = false;
  #arrived = () => {};

  get length(): number {
    return this.#events.length;
  }

  put(event: Arrived): void {
    if (this.#isOver) return;
    this.#events.push(event);
    this.#size += sizeOf(event);
    if (this.#size > maxUnread) {
      this.#isOver = true;
      this.#events = [unread];
    }
    this.#arrived();
  }

  /** Throws the reason of `signal`. */
  async next(signal: AbortSignal): Promise<Arrived> {
    const onAbort = () => this.#arrived();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      for (;;) {
        signal.throwIfAborted();
        const event = this.#events.shift();
        if (event) {
          this.#size -= sizeOf(event);
          return event;
        }
        await new Promise<void>((resolve) => {
          this.#arrived = resolve;
        });
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }
}

function sizeOf(event: Arrived): number {
  // The results of a request have a limit, and the API reads them without its client.
  if (event.type !== 'token') return bytesOf.event;
  const { text, reasoning = '', likely } = event;
  const likelies = likely ? 1 + likely.top.length : 0;
  return bytesOf.event + text.length + reasoning.length + likelies * bytesOf.likely;
}
