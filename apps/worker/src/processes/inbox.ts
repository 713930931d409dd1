/**
 * A message queue for one reader. `full` is called when more than `most` bytes are queued, `free` when less than half of that
 * remains.
 */
export class Inbox<T> {
  #messages: { message: T; size: number }[] = [];
  #next = 0;
  #size = 0;
  #isFull = false;
  #arrived = () => {};
  readonly #most: number;
  readonly #on: { full(): void; free(): void };

  constructor(most: number, on: { full(): void; free(): void }) {
    this.#most = most;
    this.#on = on;
  }

  /** Queues a message of `bytes` bytes, plus 512 for the overhead of its object. */
  put(message: T, bytes: number): void {
    const size = bytes + 512;
    this.#messages.push({ message, size });
    this.#size += size;
    if (!this.#isFull && this.#size > this.#most) {
      this.#isFull = true;
      this.#on.full();
    }
    this.#arrived();
  }

  /** The oldest message; waits until there is one. */
  async take(): Promise<T> {
    for (;;) {
      const next = this.#messages[this.#next];
      if (next) {
        this.#size -= next.size;
        if (++this.#next === this.#messages.length) [this.#messages, this.#next] = [[], 0];
        if (this.#isFull && this.#size < this.#most / 2) {
          this.#isFull = false;
          this.#on.free();
        }
        return next.message;
      }
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    }
  }
}
