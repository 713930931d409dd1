import type { Failed } from '../processes/forked-process.ts';
import type { GeneratorMessages } from './generator-protocol.ts';

/** An event of the child about one request. */
type ChildEvent<E = GeneratorMessages['event']> = E extends { id: number } ? Omit<E, 'id'> : never;
export type Arrived = Exclude<ChildEvent, { type: 'refused' }> | Failed;

/** The events of one request that its reader has not taken. */
export class Arrivals {
  readonly #events: Arrived[] = [];
  #arrived = () => {};

  get length(): number {
    return this.#events.length;
  }

  put(event: Arrived): void {
    this.#events.push(event);
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
        if (event) return event;
        await new Promise<void>((resolve) => {
          this.#arrived = resolve;
        });
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }
}
