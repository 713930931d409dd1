import type { ChildFault } from '../processes/child-fault.ts';
import { type Failed, ForkedProcess, type ProcessOptions } from '../processes/forked-process.ts';
import { FairOrder, type Share } from './fair-order.ts';
import type { GeneratorMessages, GeneratorRequest } from './generator-protocol.ts';

export type GeneratorEvent =
  | GeneratorMessages['event']
  | Extract<GeneratorMessages['result'], { type: 'done' }>
  | Failed;

interface Waiting {
  /** It has the turn. */
  wake(): void;
  leave(reason: unknown): void;
}

/** What every answer costs its team at least. */
const unitMilliseconds = 1000;

export interface GeneratorOptions extends ProcessOptions {
  /** Requests that may wait behind the one being answered, and how long each of them may. */
  queueLimit: number;
  waitMilliseconds: number;
}

/** Too many requests wait already: try another worker, or later. */
export class GeneratorBusy extends Error {}

/**
 * The worker's side of the generator: a child process that answers one request at a time; the others wait, and teams take turns.
 */
export class GeneratorProcess {
  readonly #options: GeneratorOptions;
  readonly #process: ForkedProcess<GeneratorMessages>;
  readonly #waiting = new FairOrder<Waiting>();
  #busy = false;
  #closed = false;
  #baseModel: string | null = null;

  constructor(options: GeneratorOptions) {
    this.#options = options;
    this.#process = new ForkedProcess('generator', ['done', 'stopped'], options);
  }

  /** Of the running child, if any. */
  get pid(): number | null {
    return this.#process.pid;
  }

  /** Requests being answered or waiting. */
  get load(): number {
    return this.#waiting.length + (this.#busy ? 1 : 0);
  }

  /** Catalogue ids of the base models in the generator's memory. */
  get bases(): string[] {
    return this.pid !== null && this.#baseModel !== null ? [this.#baseModel] : [];
  }

  /**
   * Answers one request; its last event is `done` or `failed`. Aborting `signal`, or returning early, ends it.
   * Throws `GeneratorBusy` when the queue is full, its turn does not come in time, or its place in a full queue goes to a team
   * that has fewer waiting.
   */
  async *generate(
    request: GeneratorRequest,
    signal: AbortSignal,
    share: Share = { team: '', weight: 1 },
  ): AsyncGenerator<GeneratorEvent, void> {
    await this.#turn(signal, share);
    const began = performance.now();
    try {
      signal.throwIfAborted();
      this.#baseModel = request.baseModel;
      const { digestCache = request.digestCache } = this.#options.user ?? {};
      const end = yield* this.#process.call({
        message: { type: 'generate', request: { ...request, digestCache } },
        // The same on every machine, so that answers do not depend on the machine.
        precision: 'fp32',
        stop: signal,
        stopMilliseconds,
      });
      if (end.type === 'done' || end.type === 'failed') yield end;
      else {
        signal.throwIfAborted();
        yield { type: 'failed', fault: this.#closed ? closing : lost };
      }
    } finally {
      this.#waiting.charge(share, Math.max(0, (performance.now() - began) / unitMilliseconds - 1));
      this.#next();
    }
  }

  /** Ends the child; waiting requests throw `GeneratorBusy`. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#process.close();
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) next.wake();
  }

  async #turn(signal: AbortSignal, share: Share): Promise<void> {
    if (this.#closed) throw new GeneratorBusy('The generator is closing.');
    if (!this.#busy) {
      this.#busy = true;
      this.#waiting.begin(share);
      return;
    }
    if (this.#waiting.length >= this.#options.queueLimit) {
      const surplus = this.#waiting.surplusOver(share);
      if (!surplus) throw new GeneratorBusy('The queue is full.');
      surplus.item.leave(new GeneratorBusy('Another team has fewer requests in the queue.'));
    }
    await new Promise<void>((resolve, reject) => {
      const wake = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      const leave = (reason: unknown) => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
        this.#waiting.remove(share.team, waiting);
        reject(reason);
      };
      const waiting = { wake, leave };
      const onAbort = () => leave(signal.reason);
      const late = () => leave(new GeneratorBusy('The request waited too long.'));
      const timer = setTimeout(late, this.#options.waitMilliseconds);
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(share, waiting);
    });
    if (this.#closed) throw new GeneratorBusy('The generator is closing.');
  }

  /** Gives the turn to the next request; `busy` stays set for it. */
  #next(): void {
    const next = this.#waiting.shift();
    if (next) next.wake();
    else this.#busy = false;
  }
}

// A long prompt blocks the child: by then it is quicker to start another than to wait.
const stopMilliseconds = 5000;
const lost: ChildFault = {
  code: 'generator_lost',
  message: 'The generator was lost; try again.',
  param: null,
  fault: 'system',
};
const closing: ChildFault = {
  code: 'generator_closing',
  message: 'This worker is stopping; try again.',
  param: null,
  fault: 'system',
};
