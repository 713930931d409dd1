import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { Services } from '@graft/service/services';
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

/** How a child can end before it sends a result. */
export type Gone =
  /** Killed by the caller's signal, or because it did not stop in time. */
  | { type: 'killed' }
  /** Killed because it sent nothing for too long. */
  | { type: 'stalled' }
  /** Killed because a message did not fit the protocol. */
  | { type: 'rejected' }
  /** Ended by itself: out of memory, a crash in native code, `kill -9`. `ready`: its engine had been loaded. */
  | { type: 'crashed'; exit: ChildExit; ready: boolean };

type End<M extends Messages> = M['result'] | Failed | Gone;

export interface ProcessOptions {
  /** The file that the child runs, TypeScript or built JavaScript. */
  entry: URL;
  device: Device;
  log: Services['log'];
  /** Null or absent: the child has the rights of this process. */
  sandbox?: Sandbox | null;
  /** Card memory limit of a child in bytes, unless a call sets another. Absent: no limit, or no card. */
  cardBytes?: number | undefined;
  /** The installation's cache folder, for kernels compiled for a card. Absent: they are not cached. */
  cacheDir?: string;
  /** A child that sends nothing for this long during a call is killed. */
  stallMilliseconds: number;
  /** An unused child, and the base model it holds, is ended after this time. */
  idleMilliseconds: number;
}

export interface Call<M extends Messages> {
  message: M['call'];
  /** Receives a function that sends further messages while the call lasts. */
  opened?: (send: (message: M['call']) => void) => void;
  /** Checks whether a message that fits its schema also fits this call: null, or why not. */
  check?: (message: FromChild<M>) => string | null;
  precision: Precision;
  /** TensorFlow's threads; by default TensorFlow's own choice. */
  threads?: number;
  /** Card memory limit in bytes, where it differs from `ProcessOptions`. */
  cardBytes?: number | undefined;
  /** Paths of base models that a confined child reads in addition to its sandbox's. */
  reads?: readonly string[];
  /** Aborted: the child is asked to stop and to send its result. */
  stop: AbortSignal;
  /** A child that has not stopped by this time is killed. */
  stopMilliseconds?: number;
  /** Aborted: the child is killed. */
  kill?: AbortSignal;
}

/**
 * The worker's side of a child process, and the only place that starts and ends one. The first call starts the child. The child
 * stays alive, with its base model in memory, for later calls in the same precision. It is ended when it is idle for a while, sends
 * nothing for too long, fails with an internal error, or is closed.
 */
export class ForkedProcess<M extends Messages> {
  /** The part of the data folder that a confined child sees; null: not confined. */
  readonly slot: SlotFolder | null;
  readonly #name: string;
  readonly #check: Check;
  readonly #ends: ReadonlySet<string>;
  readonly #options: ProcessOptions;
  #child: Child<M> | null = null;
  #output = '';
  #cardBytes: number | undefined;
  #idle: NodeJS.Timeout | undefined;
  #deadline = Number.POSITIVE_INFINITY;

  /** `name` is used in the log. */
  constructor(name: string, { results, check }: Protocol<M>, options: ProcessOptions) {
    this.#name = name;
    this.#check = check;
    this.#ends = new Set([...results, 'failed', ...endedTypes]);
    this.#options = options;
    const { sandbox } = options;
    this.slot = sandbox ? new SlotFolder(join(sandbox.folder, randomUUID()), sandbox.user) : null;
  }

  /** The process id of the running child; null where none runs. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** Recent output of the running child, or of the last one. */
  get output(): string {
    return this.#output.trim();
  }

  /**
   * Sets the time (of `performance.now()`) at which the child ends itself, during this and later calls, even if this process is frozen
   * and cannot end it. Infinity: never.
   */
  holdUntil(time: number): void {
    this.#deadline = time;
    this.#child?.holdUntil(onMachineClock(time));
  }

  /**
   * Makes one call; calls must not overlap. Yields the events in order and returns how the call ended. When the caller stops
   * reading early, the child is stopped first.
   */
  async *call(call: Call<M>): AsyncGenerator<M['event'], End<M>> {
    const { message: called, opened, stop, stopMilliseconds, kill } = call;
    clearTimeout(this.#idle);
    const child = await this.#childFor(call);
    const inbox = new Inbox<M['event'] | End<M>>(maxUnread, {
      full: () => {
        child.pause();
        // No message can arrive now, which is not the child's fault.
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
        // Its remaining messages must not be attributed to the next call.
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

  /** Kills the child. */
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
    // After an internal error the state of its engine is unknown.
    const isUnsound = 'fault' in end && (end.fault.fault !== 'user' || end.fault.code === memoryFault.code);
    if (isUnsound || endedTypes.has(end.type)) return await this.close();
    this.#idle = setTimeout(() => void this.close(), this.#options.idleMilliseconds);
    this.#idle.unref();
  }
}

// Minimum time that a child may take to load its engine, for busy machines.
const startMilliseconds = 60_000;
const endedTypes: ReadonlySet<string> = new Set<Gone['type']>(['killed', 'stalled', 'rejected', 'crashed']);
/** Maximum number of characters of a child's output that are kept. */
const outputKept = 8000;
/** Bytes of unread messages above which reading from the child pauses. */
const maxUnread = 4 * 2 ** 20;

/** A child that fails before its engine is loaded would fail at any work, so the machine is to blame. */
function blameMachine(message: { type: string; fault?: ChildFault }): void {
  if (message.fault?.fault === 'system') message.fault.fault = 'environment';
}

/** Calls `listener` on abort, or immediately if `signal` is already aborted. */
function onAbort(signal: AbortSignal, listener: () => void): void {
  if (signal.aborted) listener();
  else signal.addEventListener('abort', listener, { once: true });
}

/** Converts a time of `performance.now()` to milliseconds of the monotonic clock, which all processes of this machine share. */
function onMachineClock(time: number): number {
  return Number(process.hrtime.bigint()) / 1e6 + (time - performance.now());
}
