import type { Services } from '@graft/service';
import { childEnvironment } from '../processes/child-environment.ts';
import type { Device } from '../devices.ts';
import { type ForkedProcess, forkProcess } from '../processes/forked-process.ts';
import type { FromServer, ServerRequest, ToServer } from './generator-protocol.ts';
import type { TrainerFault } from '../training/trainer-protocol.ts';

export type GenerationEvent =
  | { type: 'token'; text: string }
  | { type: 'done'; finishReason: 'stop' | 'length'; promptTokens: number; completionTokens: number }
  | { type: 'failed'; fault: TrainerFault };

export interface ServerOptions {
  entry: URL;
  device: Device;
  log: Services['log'];
  /** Requests that may wait behind the one being answered, and how long each of them may. */
  queueLimit: number;
  waitMilliseconds: number;
  /** A server that says nothing for this long while it answers is killed. */
  stallMilliseconds: number;
  /** An unused server, and the base model it holds, is let go after this time. */
  idleMilliseconds: number;
}

/** Too many requests wait already: try another worker, or later. */
export class ServerBusy extends Error {}

/**
 * The worker's side of the server: a child process, started by the first request and closed when idle, that answers
 * one request at a time; the others wait in order.
 */
export class ServerProcess {
  readonly #options: ServerOptions;
  #child: { process: ForkedProcess<ToServer>; onMessage: (message: FromServer) => void } | null = null;
  #waiting: (() => void)[] = [];
  #busy = false;
  #closed = false;
  #idle: NodeJS.Timeout | undefined;
  #baseModel: string | null = null;

  constructor(options: ServerOptions) {
    this.#options = options;
  }

  /** Of the running child, if any. */
  get pid(): number | null {
    return this.#child?.process.pid ?? null;
  }

  /** Requests being answered or waiting. */
  get load(): number {
    return this.#waiting.length + (this.#busy ? 1 : 0);
  }

  /** Catalogue ids of the base models in the server's memory. */
  get bases(): string[] {
    return this.#child && this.#baseModel !== null ? [this.#baseModel] : [];
  }

  /**
   * Answers one request; its last event is `done` or `failed`. Aborting `signal`, or returning early, ends it.
   * Throws `ServerBusy` when the queue is full or its turn does not come in time.
   */
  async *generate(request: ServerRequest, signal: AbortSignal): AsyncGenerator<GenerationEvent, void> {
    await this.#turn(signal);
    try {
      signal.throwIfAborted();
      yield* this.#answer(request, signal);
    } finally {
      this.#next();
    }
  }

  /** Ends the child; waiting requests throw `ServerBusy`. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#idle);
    await this.#end();
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async #turn(signal: AbortSignal): Promise<void> {
    if (this.#closed) throw new ServerBusy('The server is closing.');
    clearTimeout(this.#idle);
    if (!this.#busy) {
      this.#busy = true;
      return;
    }
    if (this.#waiting.length >= this.#options.queueLimit) throw new ServerBusy('The queue is full.');
    await new Promise<void>((resolve, reject) => {
      const wake = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      const leave = (reason: unknown) => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
        this.#waiting = this.#waiting.filter((other) => other !== wake);
        reject(reason);
      };
      const onAbort = () => leave(signal.reason);
      const late = () => leave(new ServerBusy('The request waited too long.'));
      const timer = setTimeout(late, this.#options.waitMilliseconds);
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(wake);
    });
    if (this.#closed) throw new ServerBusy('The server is closing.');
  }

  /** Hands the turn to the next request, which finds `busy` still set. */
  #next(): void {
    const wake = this.#waiting.shift();
    if (wake) {
      wake();
      return;
    }
    this.#busy = false;
    this.#idle = setTimeout(() => void this.#end(), this.#options.idleMilliseconds);
    this.#idle.unref();
  }

  async *#answer(request: ServerRequest, signal: AbortSignal): AsyncGenerator<GenerationEvent, void> {
    const child = this.#open();
    this.#baseModel = request.baseModel;
    const inbox = new Inbox<FromServer | { type: 'gone' }>();
    child.onMessage = (message) => inbox.put(message);
    void child.process.exited.then(() => inbox.put({ type: 'gone' }));
    let late: NodeJS.Timeout | undefined;
    const onAbort = () => {
      child.process.send({ type: 'abort' });
      late = setTimeout(() => inbox.put({ type: 'gone' }), abortMilliseconds);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    let over = false;
    try {
      child.process.send({ type: 'generate', request });
      while (!over) {
        const message = await inbox.take(this.#options.stallMilliseconds);
        switch (message?.type) {
          case 'ready':
            break;
          case 'token':
            yield message;
            break;
          case 'done':
            over = true;
            yield message;
            break;
          case 'failed':
            over = true;
            // After a fault of its own nothing is known of the engine's state.
            if (message.fault.fault === 'system') await this.#end();
            yield message;
            break;
          case 'aborted':
            over = true;
            signal.throwIfAborted();
            break;
          case 'gone':
          case undefined:
            over = true;
            await this.#end();
            yield { type: 'failed', fault: this.#closed ? closing : lost };
            break;
        }
      }
    } finally {
      clearTimeout(late);
      signal.removeEventListener('abort', onAbort);
      // The caller left before the end: the child must be silent before the next request.
      if (!over) await this.#silence(child.process, inbox);
      child.onMessage = () => {};
    }
  }

  async #silence(
    process: ForkedProcess<ToServer>,
    inbox: Inbox<FromServer | { type: 'gone' }>,
  ): Promise<void> {
    process.send({ type: 'abort' });
    for (;;) {
      const message = await inbox.take(abortMilliseconds);
      if (!message) return await this.#end();
      if (message.type !== 'token' && message.type !== 'ready') return;
    }
  }

  #open() {
    if (this.#child) return this.#child;
    const { entry, device, log } = this.#options;
    // fp32: answers should not depend on which machine gives them.
    const environment = childEnvironment(device, 'fp32');
    const child = {
      onMessage: (_: FromServer) => {},
      process: forkProcess<ToServer, FromServer>(entry, environment, (message) => child.onMessage(message)),
    };
    this.#child = child;
    log.info({ childPid: child.process.pid }, 'server started');
    void child.process.exited.then(({ code, signal }) => {
      if (this.#child === child) this.#child = null;
      log.info({ childPid: child.process.pid, code, signal }, 'server ended');
    });
    return child;
  }

  async #end(): Promise<void> {
    const child = this.#child;
    if (!child) return;
    // At once, so that whoever comes while it dies starts another.
    this.#child = null;
    child.process.kill();
    await child.process.exited;
  }
}

// A long prompt blocks the child; after this, starting another is better than waiting.
const abortMilliseconds = 5000;
const lost: TrainerFault = {
  code: 'server_lost',
  message: 'The model server was lost; try again.',
  param: null,
  fault: 'system',
};
const closing: TrainerFault = {
  code: 'server_closing',
  message: 'This worker is stopping; try again.',
  param: null,
  fault: 'system',
};

/** Messages in order, for one reader that may wait. */
class Inbox<T> {
  #messages: T[] = [];
  #arrived: (() => void) | null = null;

  put(message: T): void {
    this.#messages.push(message);
    this.#arrived?.();
  }

  /** The next message; undefined when none comes for `milliseconds`. */
  async take(milliseconds: number): Promise<T | undefined> {
    if (this.#messages.length === 0) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
        timer = setTimeout(resolve, milliseconds);
      });
      clearTimeout(timer);
      this.#arrived = null;
    }
    return this.#messages.shift();
  }
}
