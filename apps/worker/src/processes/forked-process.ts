import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Services } from '@graft/service';
import type { Device, Precision } from '../devices.ts';
import { childEnvironment } from './child-environment.ts';
import type { ChildFault } from './child-fault.ts';

/**
 * The messages between a worker and one kind of child process. A conversation is one question and what the child says
 * to it: any number of words, then exactly one ending or `{ type: 'failed', fault }`.
 */
export interface Messages {
  /** What the child is asked; it is also told `stop` in the middle of an answer. */
  question: { type: string };
  word: { type: string };
  ending: { type: string };
}

/** How a child process ended: by itself with a code, or by a signal. Both null: it could not be started. */
export interface ChildExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export type Failed = { type: 'failed'; fault: ChildFault };

/** The child is gone before it gave an ending. */
export type Gone =
  /** By the caller's signal, or because it did not stop in time. */
  | { type: 'killed' }
  /** Nothing was heard of it for too long, so it was killed. */
  | { type: 'stalled' }
  /** It ended by itself: out of memory, a crash in native code, `kill -9`. */
  | { type: 'crashed'; exit: ChildExit };

/** The last message of a conversation. */
type Last<M extends Messages> = M['ending'] | Failed | Gone;

/** All that a child sends. `ready`: its engine is loaded. */
export type Said<M extends Messages> = { type: 'ready' } | M['word'] | M['ending'] | Failed;

export interface ProcessOptions {
  /** The file that the child runs, TypeScript or built JavaScript. */
  entry: URL;
  device: Device;
  log: Services['log'];
  /** A child that says nothing for this long during a conversation is killed. */
  stallMilliseconds: number;
  /** An unused child, and the base model it holds, is let go after this time. */
  idleMilliseconds: number;
}

export interface Conversation<M extends Messages> {
  question: M['question'] | { type: 'stop' };
  precision: Precision;
  /** Aborted: the child is told to stop, and gives an ending when it has. */
  stop: AbortSignal;
  /** A child that has not stopped after this time is killed. */
  stopMilliseconds?: number;
  /** Aborted: the child is killed. */
  kill?: AbortSignal;
}

interface Child<M extends Messages> {
  pid: number;
  precision: Precision;
  /** A child that just died cannot take the message; `exited` tells. */
  send(message: M['question'] | { type: 'stop' }): void;
  /** SIGKILL: a child inside a TensorFlow step would notice nothing gentler. */
  kill(): void;
  exited: Promise<ChildExit>;
  hear: (message: Said<M>) => void;
}

/**
 * The worker's side of a child process, and the only place that starts and ends one. The child is started by the first
 * question and kept, with its base model in memory, for the next question in the same precision; it is ended when it
 * idles, stalls, fails by a fault of its own, or is closed.
 */
export class ForkedProcess<M extends Messages> {
  readonly #name: string;
  readonly #endings: ReadonlySet<string>;
  readonly #options: ProcessOptions;
  #child: Child<M> | null = null;
  #idle: NodeJS.Timeout | undefined;

  /** `name` is for the log. `endings`: the types of M['ending']. */
  constructor(name: string, endings: readonly M['ending']['type'][], options: ProcessOptions) {
    this.#name = name;
    this.#endings = new Set([...endings, 'failed', ...goneTypes]);
    this.#options = options;
  }

  /** Of the running child, if any. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /**
   * Asks one question; one at a time. Yields every word in order and returns how the conversation ended. A caller that
   * returns early has the child stopped first.
   */
  async *ask(conversation: Conversation<M>): AsyncGenerator<M['word'], Last<M>> {
    const { question, precision, stop, stopMilliseconds, kill } = conversation;
    clearTimeout(this.#idle);
    const child = await this.#childFor(precision);
    const inbox = new Inbox<M['word'] | Last<M>>();
    let silence: NodeJS.Timeout | undefined;
    let patience: NodeJS.Timeout | undefined;
    let gone: 'killed' | 'stalled' | null = null;
    let over = false;
    const end = (because: 'killed' | 'stalled') => {
      if (over) return;
      gone ??= because;
      child.kill();
    };
    const expectWord = () => {
      clearTimeout(silence);
      silence = setTimeout(() => end('stalled'), this.#options.stallMilliseconds);
    };
    const onStop = () => {
      child.send({ type: 'stop' });
      if (stopMilliseconds !== undefined) patience ??= setTimeout(() => end('killed'), stopMilliseconds);
    };
    const onKill = () => end('killed');
    child.hear = (message) => {
      if (gone) return;
      expectWord();
      if (message.type === 'ready') return;
      over = this.#isLast(message);
      inbox.put(message);
    };
    void child.exited.then((exit) => inbox.put(gone ? { type: gone } : { type: 'crashed', exit }));
    let last: Last<M> | null = null;
    try {
      expectWord();
      child.send(question);
      onAbort(stop, onStop);
      if (kill) onAbort(kill, onKill);
      for (;;) {
        const message = await inbox.take();
        if (!this.#isLast(message)) {
          yield message;
          continue;
        }
        last = message;
        await this.#rest(last);
        return last;
      }
    } finally {
      if (!last) {
        // The child must be silent before the next question.
        onStop();
        let message = await inbox.take();
        while (!this.#isLast(message)) message = await inbox.take();
        await this.#rest(message);
      }
      clearTimeout(silence);
      clearTimeout(patience);
      stop.removeEventListener('abort', onStop);
      kill?.removeEventListener('abort', onKill);
      child.hear = () => {};
    }
  }

  /** Ends the child, at once. */
  async close(): Promise<void> {
    clearTimeout(this.#idle);
    const child = this.#child;
    if (!child) return;
    // Before it is dead, so that whoever asks meanwhile starts another.
    this.#child = null;
    child.kill();
    await child.exited;
  }

  async #childFor(precision: Precision): Promise<Child<M>> {
    if (this.#child && this.#child.precision !== precision) await this.close();
    this.#child ??= this.#start(precision);
    return this.#child;
  }

  #start(precision: Precision): Child<M> {
    const { entry, device, log } = this.#options;
    const child = start<M>(entry, precision, childEnvironment(device, precision));
    log.info({ childPid: child.pid }, `${this.#name} started on the ${device.kind} in ${precision}`);
    void child.exited.then(({ code, signal }) => {
      if (this.#child === child) this.#child = null;
      log.info({ childPid: child.pid, code, signal }, `${this.#name} ended`);
    });
    return child;
  }

  #isLast(message: M['word'] | Last<M>): message is Last<M> {
    return this.#endings.has(message.type);
  }

  /** After the last message the child is kept for a while, or ended. */
  async #rest(last: Last<M>): Promise<void> {
    // After a fault of its own nothing is known of the engine's state.
    const isSpoilt = 'fault' in last && last.fault.fault === 'system';
    if (isSpoilt || goneTypes.has(last.type)) return await this.close();
    this.#idle = setTimeout(() => void this.close(), this.#options.idleMilliseconds);
    this.#idle.unref();
  }
}

const goneTypes: ReadonlySet<string> = new Set<Gone['type']>(['killed', 'stalled', 'crashed']);

/** Calls `listener` on abort, at once if that has been. */
function onAbort(signal: AbortSignal, listener: () => void): void {
  if (signal.aborted) listener();
  else signal.addEventListener('abort', listener, { once: true });
}

/** Structured-clone serialization carries NaN and undefined as they are. */
function start<M extends Messages>(entry: URL, precision: Precision, env: NodeJS.ProcessEnv): Child<M> {
  const forked = fork(fileURLToPath(entry), {
    env,
    execArgv: nodeFlags(entry),
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  let alive = true;
  const exited = new Promise<ChildExit>((resolve) => {
    const end = (code: number | null, signal: NodeJS.Signals | null) => {
      alive = false;
      resolve({ code, signal });
    };
    forked.once('exit', end);
    // Could not be started at all.
    forked.once('error', () => forked.pid === undefined && end(null, null));
  });
  const child: Child<M> = {
    pid: forked.pid ?? -1,
    precision,
    send: (message) => void (alive && forked.connected && forked.send(message, () => {})),
    kill: () => void (alive && forked.kill('SIGKILL')),
    exited,
    hear: () => {},
  };
  forked.on('message', (message) => child.hear(message as Said<M>));
  return child;
}

/** This process's own flags, without those of debuggers and test runners, and with tsx where sources run. */
function nodeFlags(entry: URL): string[] {
  const flags = process.execArgv.filter((flag) => !/^--(?:inspect|test|watch|experimental-test)/.test(flag));
  const needsTsx = entry.pathname.endsWith('.ts') && !flags.some((flag) => flag.includes('tsx'));
  return needsTsx ? [...flags, '--import', import.meta.resolve('tsx')] : flags;
}

/** Messages in order, for one reader that may wait. */
class Inbox<T> {
  #messages: T[] = [];
  #arrived = () => {};

  put(message: T): void {
    this.#messages.push(message);
    this.#arrived();
  }

  async take(): Promise<T> {
    for (;;) {
      const [message] = this.#messages.splice(0, 1);
      if (message !== undefined) return message;
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    }
  }
}
