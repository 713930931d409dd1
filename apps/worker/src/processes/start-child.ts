import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Duplex, Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Device, Precision } from '../devices.ts';
import type { ChildExit, FromChild, Messages, ToChild } from './child-protocol.ts';
import { confineArguments, type Sandbox } from './confinement.ts';
import { longestLine, onLines, readLine, toWire } from './message-lines.ts';
import type { Check } from './message-schemas.ts';

export interface Child<M extends Messages> {
  pid: number;
  precision: Precision;
  threads: number | undefined;
  /** The access that was fixed at its start. */
  confined: { holder: number; reads: readonly string[] } | null;
  /** True once it has loaded TensorFlow. */
  ready: boolean;
  /** Sends a message; does nothing when the child has just died, which `exited` reports. */
  send(message: ToChild<M>): void;
  /** Milliseconds of the machine's monotonic clock after which the child ends itself. */
  holdUntil(deadline: number): void;
  /** Sends SIGKILL: a child in a TensorFlow step handles no other signal, and a stopped child none at all. */
  kill(): void;
  /** Kills the child because of an invalid message. */
  refuse(why: string): void;
  readonly isRefused: boolean;
  /** Pauses or resumes reading its messages. */
  pause(): void;
  resume(): void;
  exited: Promise<ChildExit>;
  /**
   * Listener of the running call; null: no call is running, and a message is an error. One listener per call on `exited` would
   * accumulate for the life of the child.
   */
  onMessage: ((message: FromChild<M>, size: number) => void) | null;
  /** Called when the child sent an invalid message and is about to be killed. */
  onRefused: () => void;
  onExit: (exit: ChildExit) => void;
}

/**
 * Starts Node with a channel at descriptor 3. The child uses Node's `process.send`, with JSON lines; this process reads the channel as a
 * plain pipe with a maximum line length, without handles and without Node's internal control messages.
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
  // The confine program replaces itself by Node: same pid, same channel.
  const [command, ...rest] =
    program && confinement
      ? [program, ...confineArguments(confinement.sandbox, { entry, ...confinement }), ...node]
      : node;
  const forked = spawn(command!, rest, {
    ...(user && !program ? { uid: user.uid, gid: user.gid } : {}),
    // Another user cannot use the home folder of this process's user.
    env: {
      ...env,
      ...(user ? { HOME: '/', USER: String(user.uid) } : {}),
      NODE_CHANNEL_FD: '3',
      NODE_CHANNEL_SERIALIZATION_MODE: 'json',
      GRAFT_LEASE_FD: '4',
    },
    // Pipes instead of this process's own streams: a child that holds a log file open could truncate it.
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
  });
  const channel = forked.stdio[3] as Duplex | null | undefined;
  const lease = forked.stdio[4] as Writable | null | undefined;
  // Ignore write errors of a child that has just died.
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
      // Wait for its last output, but not for ever: a process that it started may hold the other end.
      setTimeout(() => output.forEach((stream) => void stream?.destroy()), 500).unref();
      resolve({ code, signal });
      child.onExit({ code, signal });
    };
    forked.once('exit', end);
    // No pid: the child could not be started.
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
    } else if (!child.onMessage) return child.refuse('an unrequested message');
    child.onMessage?.(message, line.length);
  };
  if (channel) onLines(channel, longestLine, take, () => child.refuse('a line that is too long'));
  return child;
}

/** Waits for the last messages of a child that has ended, but not for ever: a process that it started may hold the other end. */
async function untilEnd(channel: Duplex): Promise<void> {
  if (channel.readableEnded || channel.destroyed) return;
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), 500);
  await once(channel, 'close', { signal: late.signal }).catch(() => {});
  clearTimeout(timer);
}

/** This process's Node flags without those of debuggers and test runners. */
function nodeFlags(): string[] {
  return process.execArgv.filter((flag) => !/^--(?:inspect|test|watch|experimental-test)/.test(flag));
}

/** Maximum bytes of a child's output that are logged in a minute, and the bytes that count for each row in addition to its text. */
const maxBytes = 64 * 1024;
const rowBytes = 256;
/** After this many bytes the output is not read until the minute is over; no child of Graft writes as much. */
const maxReadBytes = 2 ** 20;
const windowMs = 60_000;

/**
 * Logs a child's standard output and error as text in rows, so that hostile output can neither fill this process's log nor imitate
 * its rows.
 */
function logOutput(streams: readonly (Readable | null | undefined)[], log: (text: string) => void): void {
  let since = Number.NEGATIVE_INFINITY;
  let read = 0;
  let left = 0;
  for (const stream of streams) {
    stream?.on('data', (chunk: Buffer) => {
      const now = performance.now();
      if (now - since >= windowMs) [since, read, left] = [now, 0, maxBytes];
      read += chunk.length;
      if (read > maxReadBytes) {
        stream.pause();
        setTimeout(() => stream.resume(), since + windowMs - now).unref();
      }
      if (left <= 0) return;
      const text = chunk.subarray(0, left).toString().trimEnd();
      left -= chunk.length + rowBytes;
      if (text) log(text);
      if (left <= 0) log('(further output is not logged until the minute is over)');
    });
  }
}
