import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const root = join(import.meta.dirname, '..', '..');

/** A process of Graft that a test started. */
export type RunningProcess = {
  pid: number;
  /** Returns the last lines of its standard output and error. */
  tail: () => string;
  /** Calls the listener with all further output. */
  onOutput: (listener: (text: string) => void) => void;
  /** Sends the signal and waits for the end; resolves to the exit code, or null after a signal. */
  end: (signal: NodeJS.Signals) => Promise<number | null>;
};

/** Environment of a Graft process: the given settings, without those of this machine. */
export function graftEnvironment(settings: Record<string, string | undefined>): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(GRAFT_|DATABASE_URL$|REDIS_URL$|PORT$|HOST$)/.test(name) || name === 'GRAFT_CACHE_DIR',
  );
  return {
    ...Object.fromEntries(inherited),
    GRAFT_ENV_FILE: '',
    LOG_LEVEL: 'warn',
    GRAFT_LOG: 'stdout',
    GRAFT_LEASE_SECONDS: '5',
    GRAFT_HEARTBEAT_SECONDS: '1',
    GRAFT_SWEEP_SECONDS: '1',
    ...settings,
  };
}

/** A key for GRAFT_BOOTSTRAP_KEY. */
export function newBootstrapKey(): string {
  return `graft_${randomBytes(6).toString('hex')}_${randomBytes(20).toString('hex')}`;
}

/** Starts a TypeScript entry point of the repository, such as scripts/start/main.ts. */
export function startProcess(entry: string, args: string[], env: NodeJS.ProcessEnv): RunningProcess {
  const child = spawn(process.execPath, [join(root, 'scripts/compile/run.mjs'), entry, ...args], {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let tail = '';
  const streams = [child.stdout, child.stderr];
  const onOutput = (listener: (text: string) => void) => {
    for (const stream of streams) stream.setEncoding('utf8').on('data', listener);
  };
  onOutput((text) => {
    tail = (tail + text).slice(-6000);
  });
  const ended = whenEnded(child);
  // The process must not outlive a test that throws.
  process.on('exit', () => child.kill('SIGKILL'));
  return {
    pid: child.pid ?? 0,
    tail: () => tail,
    onOutput,
    end: async (signal) => {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      return ended;
    },
  };
}

/** Waits until `address` answers with success; fails immediately when the process has ended. */
export async function whenReady(running: RunningProcess, address: string, seconds = 120): Promise<void> {
  const start = performance.now();
  const deadline = start + 1000 * seconds;
  for (;;) {
    const response = await fetch(address).catch(() => null);
    if (response?.ok) {
      performance.measure('waiting for services', { start });
      return;
    }
    const ended = !isAlive(running.pid);
    if (ended || performance.now() > deadline) {
      throw new Error(`Graft ${ended ? 'has ended' : 'is not ready'}. Its last lines:\n${running.tail()}`);
    }
    await sleep(200);
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
      .once('error', reject)
      .listen(0, '127.0.0.1', () => {
        const { port } = server.address() as { port: number };
        server.close(() => resolve(port));
      });
  });
}

function whenEnded(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  });
}
