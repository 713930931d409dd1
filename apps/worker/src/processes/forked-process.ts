import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** How a child process ended: by itself with a code, or by a signal. */
export interface ChildExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A running child that takes messages of type `In` and sends messages of type `Out`. */
export interface ForkedProcess<In> {
  pid: number;
  send(message: In): void;
  /** SIGKILL: a child inside a TensorFlow step would notice nothing gentler. */
  kill(): void;
  readonly exited: Promise<ChildExit>;
}

/**
 * Forks a TypeScript (or built JavaScript) file of this app. Structured-clone serialization carries NaN and
 * undefined as they are; messages of a child that computes arrive while it does.
 */
export function forkProcess<In extends object, Out>(
  entry: URL,
  environment: NodeJS.ProcessEnv,
  onMessage: (message: Out) => void,
): ForkedProcess<In> {
  const child = fork(fileURLToPath(entry), {
    env: environment,
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
    child.once('exit', end);
    // Could not be started at all.
    child.once('error', () => child.pid === undefined && end(null, null));
  });
  child.on('message', (message) => onMessage(message as Out));
  return {
    pid: child.pid ?? -1,
    // A child that just died cannot take it; `exited` tells.
    send: (message) => void (alive && child.connected && child.send(message, () => {})),
    kill: () => void (alive && child.kill('SIGKILL')),
    exited,
  };
}

/** This process's own flags, without those of debuggers and test runners, and with tsx where sources run. */
function nodeFlags(entry: URL): string[] {
  const flags = process.execArgv.filter((flag) => !/^--(?:inspect|test|watch|experimental-test)/.test(flag));
  const needsTsx = entry.pathname.endsWith('.ts') && !flags.some((flag) => flag.includes('tsx'));
  return needsTsx ? [...flags, '--import', import.meta.resolve('tsx')] : flags;
}

/** A sibling of the calling file, with its extension: `.ts` in the source tree, `.js` when built. */
export function siblingEntry(name: string, caller: string): URL {
  return new URL(`./${name}${caller.slice(caller.lastIndexOf('.'))}`, caller);
}
