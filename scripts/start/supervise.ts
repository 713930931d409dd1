import { type ChildProcess, fork } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { createLogger } from '@graft/service/logger';
import type { StartLog } from './start-log.ts';

export interface Supervised {
  /** Resolves, once, when the program first says that it is ready: to its address, if it has one. */
  ready: Promise<string | null>;
  /** SIGTERM, then SIGKILL when its patience is over. Resolves when it has ended. */
  stop(): Promise<void>;
}

interface Options {
  name: string;
  /** Working directory. */
  root: string;
  /** Flags of Node besides those of this process. Default: none. */
  flags?: string[];
  /** Its environment. Default: this process's. */
  env?: NodeJS.ProcessEnv;
  /** The file that it runs, which sends `{type: 'ready', address?}` when it works, or `{type: 'failed', message}` when it cannot. */
  entry: URL;
  /** Milliseconds between SIGTERM and SIGKILL. */
  patience: number;
  log: ReturnType<typeof createLogger>;
  /** Takes what the program prints. */
  startLog: StartLog;
  /** The program ended before it was ever ready: starting it again would only fail again. */
  onGiveUp(reason: string): void;
  /** Milliseconds before the first restart; doubled with each, up to a minute. Default 500. */
  firstPause?: number;
}

/** After running healthily for this long, a program's restart delays start over. */
const healthyMs = 60_000;

/** Runs a program as a child process, again and again, until it is stopped. */
export function supervise(options: Options): Supervised {
  const { name, log, firstPause = 500 } = options;
  let announce: (address: string | null) => void = () => {};
  const ready = new Promise<string | null>((resolve) => {
    announce = resolve;
  });
  let wasReady = false;
  let failure: string | undefined;
  let child: ChildProcess | null = null;
  const stopping = new AbortController();

  async function keepRunning(): Promise<void> {
    for (let pause = firstPause; !stopping.signal.aborted; ) {
      const startedAt = performance.now();
      child = start(options);
      const lastErrors = options.startLog.take(name, child);
      child.on('message', (message) => {
        const report = message as { type?: string; address?: string; message?: string };
        if (report.type === 'failed') failure = report.message;
        if (report.type !== 'ready') return;
        wasReady = true;
        announce(report.address ?? null);
      });
      const [code, signal] = await ended(child);
      if (stopping.signal.aborted) return;
      // Processes that the program has left behind may keep its outputs open.
      const errors = await Promise.race([lastErrors, sleep(1_000, '', { ref: false })]);
      if (errors !== '' && failure === undefined) options.startLog.show(errors);
      if (!wasReady) {
        const reason = failure ?? `it ended before it was ready (${signal ?? `exit code ${code}`})`;
        options.onGiveUp(`The ${name} cannot start: ${reason}`);
        return;
      }
      if (performance.now() - startedAt > healthyMs) pause = firstPause;
      log.error({ component: name, code, signal, ms: pause }, 'a process has died, starting it again');
      await sleep(pause, undefined, { signal: stopping.signal }).catch(() => {});
      pause = Math.min(2 * pause, 60_000);
    }
  }
  const done = keepRunning();

  return {
    ready,
    stop: async () => {
      stopping.abort();
      child?.kill('SIGTERM');
      const timer = setTimeout(() => {
        log.error({ component: name }, 'a process did not stop in time, killing it');
        child?.kill('SIGKILL');
      }, options.patience);
      await done;
      clearTimeout(timer);
    },
  };
}

function start({ root, entry, env, startLog, flags = [] }: Options): ChildProcess {
  return fork(entry, [], {
    cwd: root,
    env: env ?? process.env,
    execArgv: [...process.execArgv, ...flags],
    // A separate process group: Ctrl-C reaches this process only, which then stops the others in order.
    detached: true,
    stdio: startLog.file === null ? 'inherit' : ['inherit', 'pipe', 'pipe', 'ipc'],
  });
}

/** Resolves when the program has ended. If this process is killed, the program sees `disconnect` and ends by itself. */
async function ended(child: ChildProcess): Promise<[number | null, NodeJS.Signals | null]> {
  return await new Promise((resolve) => {
    child.once('error', () => resolve([null, null]));
    child.once('exit', (code, signal) => resolve([code, signal]));
  });
}
