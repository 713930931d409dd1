import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Duplex, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Device, Precision } from '../devices.ts';
import { logOutput } from './child-output.ts';
import type { ChildExit, FromChild, Messages, ToChild } from './child-protocol.ts';
import { confineArguments, type Sandbox } from './confinement.ts';
import { longestLine, onLines, readLine, toWire } from './message-lines.ts';
import type { Check } from './message-schemas.ts';

/** A running child process. */
export interface Child<M extends Messages> {
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
 * Starts Node with a channel at descriptor 3. The child has it from Node as `process.send`, in lines of JSON; this process reads it
 * as a plain pipe: lines of a bounded length, no handles, and none of the messages by which Node itself acts on a channel.
 */
export function startChild<M extends Messages>(
  entry: URL,
  env: NodeJS.ProcessEnv,
  { precision, threads, confined }: Pick<Child<M>, 'precision' | 'threads' | 'confined'>,
  confinement: {
    sandbox: Sandbox;
    rules: Parameters<typeof confineArguments>[1]['rules'];
    device: Device;
  } | null,
  { check, refused, wrote }: { check: Check; refused: (why: string) => void; wrote: (text: string) => void },
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
    // Not this process's own: a log that is a file could be cut short by who holds it open.
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
  });
  const channel = forked.stdio[3] as Duplex | null | undefined;
  const lease = forked.stdio[4] as Writable | null | undefined;
  // Of a child that has just died.
  for (const pipe of [channel, lease]) pipe?.on('error', () => {});
  const output = [forked.stdout, forked.stderr];
  logOutput(output, wrote);
  let alive = true;
  let isKilled = false;
  let isRefused = false;
  const exited = new Promise<ChildExit>((resolve) => {
    const end = async (code: number | null, signal: NodeJS.Signals | null) => {
      alive = false;
      if (channel && !isKilled) await untilEnd(channel);
      channel?.destroy();
      // What it wrote last is still to be read; a process that it has left behind may hold the other end.
      setTimeout(() => output.forEach((stream) => void stream?.destroy()), 500).unref();
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

/** Node's flags of this process without those of debuggers and test runners. */
function nodeFlags(): string[] {
  return process.execArgv.filter((flag) => !/^--(?:inspect|test|watch|experimental-test)/.test(flag));
}
