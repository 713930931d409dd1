import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Duplex, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Services } from '@graft/service';
import type { Device, Precision } from '../devices.ts';
import { childEnvironment } from './child-environment.ts';
import type { ChildFault } from './child-fault.ts';
import { confineArguments, isWithin, type Sandbox } from './confinement.ts';
import { longestLine, onLines, readLine, toWire } from './message-lines.ts';
import type { Check } from './message-schemas.ts';
import { SlotFolder } from './slot-folder.ts';

/**
 * The messages between a worker and one kind of child process. The child answers each call with any number of events,
 * then exactly one result or `{ type: 'failed', fault }`. `{ type: 'stop' }` asks it to end the running call early.
 */
export interface Messages {
  call: { type: string };
  event: { type: string };
  result: { type: string };
}

/** How a child process ended: by itself with a code, or by a signal. Both null: it could not be started. */
export interface ChildExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export type Failed = { type: 'failed'; fault: ChildFault };

/** The child ended before it gave a result. */
export type Gone =
  /** Killed by the caller's signal, or because it did not stop in time. */
  | { type: 'killed' }
  /** Killed because it sent nothing for too long. */
  | { type: 'stalled' }
  /** Killed because it sent what does not fit the protocol. */
  | { type: 'rejected' }
  /** It ended by itself: out of memory, a crash in native code, `kill -9`. `ready`: its engine was loaded before. */
  | { type: 'crashed'; exit: ChildExit; ready: boolean };

/** How a call ends. */
type End<M extends Messages> = M['result'] | Failed | Gone;

/** All that a child sends. `ready`: its engine is loaded. */
export type FromChild<M extends Messages> = { type: 'ready' } | M['event'] | M['result'] | Failed;
export type ToChild<M extends Messages> = M['call'] | { type: 'stop' };

/** What is known of the messages of one kind of child process. */
export interface Protocol<M extends Messages> {
  /** The types of M['result']. */
  results: readonly M['result']['type'][];
  /** Of all that the child sends. */
  check: Check;
}

export interface ProcessOptions {
  /** The file that the child runs, TypeScript or built JavaScript. */
  entry: URL;
  device: Device;
  log: Services['log'];
  /** Null or absent: the child reaches what this process does. */
  sandbox?: Sandbox | null;
  /** A child that sends nothing for this long during a call is killed. */
  stallMilliseconds: number;
  /** An unused child, and the base model it holds, is ended after this time. */
  idleMilliseconds: number;
}

export interface Call<M extends Messages> {
  message: M['call'];
  /** Is given the way to send more messages while the call lasts. */
  opened?: (send: (message: M['call']) => void) => void;
  /** Whether a message that fits its schema fits this call, too: null, or why not. */
  check?: (message: FromChild<M>) => string | null;
  precision: Precision;
  /** That TensorFlow computes in; by default as many as it likes. */
  threads?: number;
  /** Places of base models that a confined child reads besides those that all read. */
  reads?: readonly string[];
  /** Aborted: the child is asked to stop, and then gives its result. */
  stop: AbortSignal;
  /** A child that has not stopped by this time is killed. */
  stopMilliseconds?: number;
  /** Aborted: the child is killed. */
  kill?: AbortSignal;
}

interface Child<M extends Messages> {
  pid: number;
  precision: Precision;
  threads: number | undefined;
  /** What it may read and write was fixed at its start. */
  confined: { holder: number; reads: readonly string[] } | null;
  /** Its engine is loaded. */
  ready: boolean;
  /** Does nothing when the child has just died; `exited` tells that. */
  send(message: ToChild<M>): void;
  /** Milliseconds of the machine's monotonic clock after which the child ends itself. */
  holdUntil(deadline: number): void;
  /** With SIGKILL: a child inside a TensorFlow step handles no other signal, and a stopped one none at all. */
  kill(): void;
  /** Ends it for what it has sent. */
  refuse(why: string): void;
  readonly isRefused: boolean;
  /** Reads nothing of what it sends, or reads on. */
  pause(): void;
  resume(): void;
  exited: Promise<ChildExit>;
  /**
   * Of the running call; null: there is none, and a message is a fault. A listener on `exited` would stay, one for each call, for as
   * long as the child lives.
   */
  onMessage: ((message: FromChild<M>, size: number) => void) | null;
  /** It has sent what does not fit, and is dying. */
  onRefused: () => void;
  onExit: (exit: ChildExit) => void;
}

/**
 * The worker's side of a child process, and the only place that starts and ends one. The first call starts the child. It
 * is kept, with its base model in memory, for later calls in the same precision, and ended when it is unused for a while,
 * sends nothing for too long, fails by a fault of its own, or is closed.
 */
export class ForkedProcess<M extends Messages> {
  /** What a confined child sees of the data folder; null: it is not confined. */
  readonly slot: SlotFolder | null;
  readonly #name: string;
  readonly #check: Check;
  readonly #ends: ReadonlySet<string>;
  readonly #options: ProcessOptions;
  #child: Child<M> | null = null;
  #idle: NodeJS.Timeout | undefined;
  #deadline = Number.POSITIVE_INFINITY;

  /** `name` is for the log. */
  constructor(name: string, { results, check }: Protocol<M>, options: ProcessOptions) {
    this.#name = name;
    this.#check = check;
    this.#ends = new Set([...results, 'failed', ...goneTypes]);
    this.#options = options;
    const { sandbox } = options;
    this.slot = sandbox ? new SlotFolder(join(sandbox.folder, randomUUID()), sandbox.user) : null;
  }

  /** Of the running child, if any. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /**
   * The child ends itself after this time of `performance.now()`, during this call and those after it: also when this
   * process is frozen then and cannot end it. Infinity: it does not.
   */
  holdUntil(time: number): void {
    this.#deadline = time;
    this.#child?.holdUntil(onMachineClock(time));
  }

  /**
   * Makes one call; one at a time. Yields the events in order and returns how the call ended. When the caller stops
   * reading early, the child is stopped first.
   */
  async *call(call: Call<M>): AsyncGenerator<M['event'], End<M>> {
    const { message: called, opened, stop, stopMilliseconds, kill } = call;
    clearTimeout(this.#idle);
    const child = await this.#childFor(call);
    const inbox = new Inbox<M['event'] | End<M>>(mostUnread, {
      full: () => {
        child.pause();
        // Nothing can come, and that is not the child's fault.
        clearTimeout(silence);
      },
      free: () => {
        child.resume();
        if (!over && !gone) expectMessage();
      },
    });
    let silence: NodeJS.Timeout | undefined;
    let patience: NodeJS.Timeout | undefined;
    let gone: 'killed' | 'stalled' | 'rejected' | null = null;
    let over = false;
    const end = (because: NonNullable<typeof gone>) => {
      if (over) return;
      gone ??= because;
      child.kill();
    };
    const expectMessage = () => {
      clearTimeout(silence);
      const { stallMilliseconds } = this.#options;
      const limit = child.ready ? stallMilliseconds : Math.max(stallMilliseconds, startMilliseconds);
      silence = setTimeout(() => end('stalled'), limit);
    };
    const onStop = () => {
      child.send({ type: 'stop' });
      if (stopMilliseconds !== undefined) patience ??= setTimeout(() => end('killed'), stopMilliseconds);
    };
    const onKill = () => end('killed');
    child.onRefused = () => end('rejected');
    child.onMessage = (message, size) => {
      if (gone) return;
      const fault = over ? 'a message after its result' : call.check?.(message);
      if (fault) return child.refuse(fault);
      expectMessage();
      if (message.type === 'ready') return;
      if (!child.ready) blameMachine(message);
      over = this.#isEnd(message);
      inbox.put(message, size);
    };
    child.onExit = (exit) =>
      inbox.put(gone ? { type: gone } : { type: 'crashed', exit, ready: child.ready }, 0);
    let ended: End<M> | null = null;
    try {
      expectMessage();
      child.send(called);
      opened?.((message) => child.send(message));
      onAbort(stop, onStop);
      if (kill) onAbort(kill, onKill);
      for (;;) {
        const message = await inbox.take();
        if (!this.#isEnd(message)) {
          yield message;
          continue;
        }
        ended = message;
        await this.#keepOrClose(ended);
        return ended;
      }
    } finally {
      if (!ended) {
        // Its remaining messages must not be taken for those of the next call.
        onStop();
        let message = await inbox.take();
        while (!this.#isEnd(message)) message = await inbox.take();
        await this.#keepOrClose(message);
      }
      clearTimeout(silence);
      clearTimeout(patience);
      stop.removeEventListener('abort', onStop);
      kill?.removeEventListener('abort', onKill);
      child.onMessage = null;
      child.onRefused = () => {};
      child.onExit = () => {};
      child.resume();
    }
  }

  /** Ends the child, at once. */
  async close(): Promise<void> {
    clearTimeout(this.#idle);
    const child = this.#child;
    if (!child) return;
    // Set before the child is dead, so that a call made meanwhile starts another.
    this.#child = null;
    child.kill();
    await child.exited;
  }

  async #childFor({
    precision,
    threads,
    reads = [],
  }: Pick<Call<M>, 'precision' | 'threads' | 'reads'>): Promise<Child<M>> {
    await this.slot?.prepare();
    const held = this.#child;
    const isOther = held && (held.precision !== precision || held.threads !== threads);
    if (isOther || (held && (held.isRefused || !this.#mayCall(held, reads)))) await this.close();
    this.#child ??= this.#start(precision, threads, reads);
    return this.#child;
  }

  #mayCall({ confined }: Child<M>, reads: readonly string[]): boolean {
    if (!confined) return true;
    return confined.holder === this.slot?.holder && reads.every((path) => isWithin(path, confined.reads));
  }

  #start(precision: Precision, threads: number | undefined, reads: readonly string[]): Child<M> {
    const { entry, device, log, sandbox } = this.#options;
    const { slot } = this;
    const confined = slot && sandbox ? { holder: slot.holder, reads: [...sandbox.reads, ...reads] } : null;
    const child = start<M>(
      entry,
      { ...childEnvironment(device, precision, threads), ...(slot ? { TMPDIR: slot.scratch } : {}) },
      { precision, threads, confined },
      confined && { sandbox: sandbox!, rules: slot!.rulesWith(confined.reads), device },
      {
        check: this.#check,
        refused: (why) =>
          log.error(
            { childPid: child.pid, event: 'child_refused' },
            `${this.#name} sent ${why}: it is ended`,
          ),
      },
    );
    child.holdUntil(onMachineClock(this.#deadline));
    log.info({ childPid: child.pid }, `${this.#name} started on the ${device.kind} in ${precision}`);
    void child.exited.then(({ code, signal }) => {
      if (this.#child === child) this.#child = null;
      log.info({ childPid: child.pid, code, signal }, `${this.#name} ended`);
    });
    return child;
  }

  #isEnd(message: M['event'] | End<M>): message is End<M> {
    return this.#ends.has(message.type);
  }

  async #keepOrClose(end: End<M>): Promise<void> {
    // After a fault of its own the state of its engine is unknown.
    const isUnsound = 'fault' in end && end.fault.fault !== 'user';
    if (isUnsound || goneTypes.has(end.type)) return await this.close();
    this.#idle = setTimeout(() => void this.close(), this.#options.idleMilliseconds);
    this.#idle.unref();
  }
}

// Until its engine is loaded a child may take at least this long, on a machine that is busy.
const startMilliseconds = 60_000;
const goneTypes: ReadonlySet<string> = new Set<Gone['type']>(['killed', 'stalled', 'rejected', 'crashed']);
/** Bytes of messages that wait to be read; then nothing more is taken from the child. */
const mostUnread = 4 * 2 ** 20;

/** A child that fails before its engine is loaded could do no better at any other work. */
function blameMachine(message: { type: string; fault?: ChildFault }): void {
  if (message.fault?.fault === 'system') message.fault.fault = 'environment';
}

/** Calls `listener` on abort, or at once if `signal` is aborted already. */
function onAbort(signal: AbortSignal, listener: () => void): void {
  if (signal.aborted) listener();
  else signal.addEventListener('abort', listener, { once: true });
}

/**
 * Starts Node with a channel at descriptor 3. The child has it from Node as `process.send`, in lines of JSON; this process reads it
 * as a plain pipe: lines of a bounded length, no handles, and none of the messages by which Node itself acts on a channel.
 */
function start<M extends Messages>(
  entry: URL,
  env: NodeJS.ProcessEnv,
  { precision, threads, confined }: Pick<Child<M>, 'precision' | 'threads' | 'confined'>,
  confinement: {
    sandbox: Sandbox;
    rules: Parameters<typeof confineArguments>[1]['rules'];
    device: Device;
  } | null,
  { check, refused }: { check: Check; refused: (why: string) => void },
): Child<M> {
  const { program = null, user = null } = confinement?.sandbox ?? {};
  const node = [process.execPath, ...nodeFlags(), fileURLToPath(entry)];
  // It takes the place of this process: the same pid, and the channel.
  const [command, ...rest] =
    program && confinement
      ? [program, ...confineArguments(confinement.sandbox, { entry, ...confinement }), ...node]
      : node;
  const forked = spawn(command!, rest, {
    ...(user && !program ? { uid: user.uid, gid: user.gid } : {}),
    // The home folder of this process's user is not another user's.
    env: {
      ...env,
      ...(user ? { HOME: '/', USER: String(user.uid) } : {}),
      NODE_CHANNEL_FD: '3',
      NODE_CHANNEL_SERIALIZATION_MODE: 'json',
      GRAFT_LEASE_FD: '4',
    },
    stdio: ['ignore', 'inherit', 'inherit', 'pipe', 'pipe'],
  });
  const channel = forked.stdio[3] as Duplex | null | undefined;
  const lease = forked.stdio[4] as Writable | null | undefined;
  // Of a child that has just died.
  for (const pipe of [channel, lease]) pipe?.on('error', () => {});
  let alive = true;
  let isKilled = false;
  let isRefused = false;
  const exited = new Promise<ChildExit>((resolve) => {
    const end = async (code: number | null, signal: NodeJS.Signals | null) => {
      alive = false;
      if (channel && !isKilled) await untilEnd(channel);
      channel?.destroy();
      resolve({ code, signal });
      child.onExit({ code, signal });
    };
    forked.once('exit', end);
    // The child could not be started.
    forked.once('error', () => forked.pid === undefined && end(null, null));
  });
  const child: Child<M> = {
    pid: forked.pid ?? -1,
    precision,
    threads,
    confined,
    ready: false,
    send: (message) => void (alive && channel?.write(`${JSON.stringify(toWire(message))}\n`)),
    holdUntil: (deadline) => void (alive && lease?.write(`${deadline}\n`)),
    kill: () => {
      isKilled = true;
      if (alive) forked.kill('SIGKILL');
    },
    get isRefused() {
      return isRefused;
    },
    refuse: (why) => {
      if (isRefused) return;
      isRefused = true;
      refused(why);
      child.onRefused();
      child.kill();
    },
    pause: () => void channel?.pause(),
    resume: () => void channel?.resume(),
    exited,
    onMessage: null,
    onRefused: () => {},
    onExit: () => {},
  };
  const take = (line: string) => {
    if (isRefused) return;
    let message: FromChild<M>;
    try {
      message = readLine(line) as FromChild<M>;
    } catch {
      return child.refuse('a line that is no message');
    }
    const fault = check(message);
    if (fault) return child.refuse(fault);
    if (message.type === 'ready') {
      if (child.ready) return child.refuse('a second ready');
      child.ready = true;
    } else if (!child.onMessage) return child.refuse('a message that nobody asked for');
    child.onMessage?.(message, line.length);
  };
  if (channel) onLines(channel, longestLine, take, () => child.refuse('a line that is too long'));
  return child;
}

/** What a child sent before it ended is still to be read; a process that it has left behind may hold the other end. */
async function untilEnd(channel: Duplex): Promise<void> {
  if (channel.readableEnded || channel.destroyed) return;
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), 500);
  await once(channel, 'close', { signal: late.signal }).catch(() => {});
  clearTimeout(timer);
}

/** A time of `performance.now()` in milliseconds of the monotonic clock, which all processes of this machine share. */
function onMachineClock(time: number): number {
  return Number(process.hrtime.bigint()) / 1e6 + (time - performance.now());
}

/** Node's flags of this process without those of debuggers and test runners. */
function nodeFlags(): string[] {
  return process.execArgv.filter((flag) => !/^--(?:inspect|test|watch|experimental-test)/.test(flag));
}

/** A queue of messages for one reader. `full` is called when more than `most` bytes wait, `free` when half of them are read. */
class Inbox<T> {
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

  /** A message of so many bytes; what keeps it takes more, the less it has. */
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
