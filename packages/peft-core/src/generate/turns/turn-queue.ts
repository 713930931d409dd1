import { FairRows, type Owned } from './fair-rows.ts';

interface Waiting extends Owned {
  start(): Promise<void>;
  reject(reason: unknown): void;
}

/** Runs one task at a time. Teams take turns by weight, and are charged the milliseconds that their tasks take. */
export class TurnQueue {
  readonly #now: () => number;
  readonly #turns = new FairRows<Waiting>();
  readonly #waiting = new Set<Waiting>();
  #isWorking = false;
  #end: unknown = null;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** The result of `work` in the team's turn. Throws the reason of `signal` if it is aborted while it waits, and that of `close`. */
  async run<T>({ team, weight }: Owned, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.#end !== null) throw this.#end;
    signal?.throwIfAborted();
    let onAbort = () => {};
    try {
      return await new Promise<T>((resolve, reject) => {
        const waiting = { team, weight, reject, start: () => work().then(resolve, reject) };
        onAbort = () => {
          this.#waiting.delete(waiting);
          reject(signal?.reason);
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        this.#waiting.add(waiting);
        if (!this.#isWorking) void this.#work();
      });
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Makes waiting calls fail with this reason. */
  close(reason: unknown): void {
    this.#end = reason;
    for (const { reject } of this.#waiting) reject(reason);
    this.#waiting.clear();
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    let last: string | null = null;
    for (;;) {
      // Among teams with equal usage, the one that ran last waits.
      const isOther = ({ team }: Owned) => team !== last;
      const all = [...this.#waiting];
      const inTurn = [...all.filter(isOther), ...all.filter((one) => !isOther(one))];
      const [next] = this.#turns.pick(inTurn, 1);
      if (!next) break;
      last = next.team;
      this.#waiting.delete(next);
      const start = this.#now();
      await next.start();
      this.#turns.charge(next, this.#now() - start - 1);
    }
    this.#isWorking = false;
  }
}
