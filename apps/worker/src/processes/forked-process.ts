import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { Services } from '@graft/service';
import type { Device, Precision } from '../devices.ts';
import { childEnvironment } from './child-environment.ts';
import { type ChildFault, memoryFault } from './child-fault.ts';
import type { ChildExit, Failed, FromChild, Messages, Protocol } from './child-protocol.ts';
import { isWithin, type Sandbox } from './confinement.ts';
import { Inbox } from './inbox.ts';
import { kernelCacheFolder, trimKernelCaches } from './kernel-cache.ts';
import type { Check } from './message-schemas.ts';
import { SlotFolder } from './slot-folder.ts';
import { type Child, startChild } from './start-child.ts';

export type { ChildExit, Failed, FromChild, Messages, ToChild } from './child-protocol.ts';

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

export interface ProcessOptions {
  /** The file that the child runs, TypeScript or built JavaScript. */
  entry: URL;
  device: Device;
  log: Services['log'];
  /** Null or absent: the child reaches what this process does. */
  sandbox?: Sandbox | null;
  /** Of its card's memory a child may hold so many bytes unless a call says otherwise; absent: all, or it has none. */
  cardBytes?: number | undefined;
  /** Of this installation: what is compiled for a card is kept below it. Absent: nowhere. */
  cacheDir?: string;
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
  /** Of its card's memory, where it is not what its children have. */
  cardBytes?: number | undefined;
  /** Places of base models that a confined child reads besides those that all read. */
  reads?: readonly string[];
  /** Aborted: the child is asked to stop, and then gives its result. */
  stop: AbortSignal;
  /** A child that has not stopped by this time is killed. */
  stopMilliseconds?: number;
  /** Aborted: the child is killed. */
  kill?: AbortSignal;
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
  #output = '';
  /** Of the running child. */
  #cardBytes: number | undefined;
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

  /** What the running child, or the last one, wrote of late. */
  get output(): string {
    return this.#output.trim();
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
    cardBytes = this.#options.cardBytes,
    reads = [],
  }: Pick<Call<M>, 'precision' | 'threads' | 'cardBytes' | 'reads'>): Promise<Child<M>> {
    await this.slot?.prepare();
    const held = this.#child;
    const isOther =
      held && (held.precision !== precision || held.threads !== threads || this.#cardBytes !== cardBytes);
    if (isOther || (held && (held.isRefused || !this.#mayCall(held, reads)))) await this.close();
    this.#cardBytes = cardBytes;
    this.#child ??= this.#start(precision, threads, reads, await this.#kernelCache());
    return this.#child;
  }

  #mayCall({ confined }: Child<M>, reads: readonly string[]): boolean {
    if (!confined) return true;
    return confined.holder === this.slot?.holder && reads.every((path) => isWithin(path, confined.reads));
  }

  #start(
    precision: Precision,
    threads: number | undefined,
    reads: readonly string[],
    kernelCache: string | null,
  ): Child<M> {
    const { entry, device, log, sandbox } = this.#options;
    const { slot } = this;
    const confined = slot && sandbox ? { holder: slot.holder, reads: [...sandbox.reads, ...reads] } : null;
    this.#output = '';
    const onCard = { bytes: this.#cardBytes, kernelCache };
    const rules = slot?.rulesWith(confined?.reads ?? []);
    if (rules && kernelCache) rules.writes = [...rules.writes, kernelCache];
    const child = startChild<M>(
      entry,
      {
        ...childEnvironment(device, precision, threads, process.env, onCard),
        ...(slot ? { TMPDIR: slot.scratch } : {}),
      },
      { precision, threads, confined },
      confined && { sandbox: sandbox!, rules: rules!, device },
      {
        check: this.#check,
        refused: (why) =>
          log.error(
            { childPid: child.pid, event: 'child_refused' },
            `${this.#name} sent ${why}: it is ended`,
          ),
        wrote: (output) => {
          this.#output = `${this.#output}\n${output}`.slice(-outputKept);
          log.warn({ childPid: child.pid, event: 'child_output', output }, `output of the ${this.#name}`);
        },
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

  async #kernelCache(): Promise<string | null> {
    const { device, cacheDir, sandbox, log } = this.#options;
    if (device.kind !== 'gpu' || cacheDir === undefined) return null;
    try {
      await trimKernelCaches(cacheDir);
      return kernelCacheFolder(cacheDir, sandbox?.user ?? null, this.slot?.team ?? null);
    } catch (err) {
      log.warn({ err }, 'what is compiled for a card cannot be kept, so each start takes longer');
      return null;
    }
  }

  #isEnd(message: M['event'] | End<M>): message is End<M> {
    return this.#ends.has(message.type);
  }

  async #keepOrClose(end: End<M>): Promise<void> {
    // After a fault of its own the state of its engine is unknown.
    const isUnsound = 'fault' in end && (end.fault.fault !== 'user' || end.fault.code === memoryFault.code);
    if (isUnsound || goneTypes.has(end.type)) return await this.close();
    this.#idle = setTimeout(() => void this.close(), this.#options.idleMilliseconds);
    this.#idle.unref();
  }
}

// Until its engine is loaded a child may take at least this long, on a machine that is busy.
const startMilliseconds = 60_000;
const goneTypes: ReadonlySet<string> = new Set<Gone['type']>(['killed', 'stalled', 'rejected', 'crashed']);
/** Characters of a child's output that are kept. */
const outputKept = 8000;
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

/** A time of `performance.now()` in milliseconds of the monotonic clock, which all processes of this machine share. */
function onMachineClock(time: number): number {
  return Number(process.hrtime.bigint()) / 1e6 + (time - performance.now());
}
