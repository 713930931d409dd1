import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { descendants } from '../../../test/service/process-tree.ts';
import { type Spawned, signalGroup, signalProcess, spawnInGroup } from './started.ts';

const root = path.resolve(import.meta.dirname, '../../..');
/** The same time limit as the supervisor of `npm start`. */
const restartPauseMs = 500;

export interface MemberOptions {
  name: string;
  entry: URL;
  env: NodeJS.ProcessEnv;
  log: string;
  /** Node flags before the entry file. */
  flags?: string[];
  /** A command that wraps it, such as `ip netns exec NAME`. */
  wrapper?: string[];
}

/** API or worker: a real process, restarted when it ends, as `npm start` does. */
export class Member {
  readonly name: string;
  readonly #options: MemberOptions;
  #spawned: Spawned | null = null;
  #stopping = false;
  #ready: Promise<void> = Promise.resolve();
  /** Unexpected ends: exit codes and signals. */
  readonly crashes: string[] = [];
  /** Processes that a fault or a stop is expected to end. */
  readonly #expected = new Set<number>();

  constructor(options: MemberOptions) {
    this.name = options.name;
    this.#options = options;
    this.#start();
  }

  /** The process id; null between two processes. */
  get pid(): number | null {
    return this.#spawned?.pid ?? null;
  }

  /** Process ids of its trainers, generators and verifiers. */
  get children(): number[] {
    return this.pid === null ? [] : descendants(this.pid);
  }

  /** Resolves when the process reports that it is ready, after as many starts as needed. */
  async ready(seconds = 120): Promise<void> {
    const deadline = performance.now() + 1000 * seconds;
    for (;;) {
      const late = sleep(Math.max(0, deadline - performance.now()), 'late', { ref: false });
      const ready = this.#ready;
      const outcome = await Promise.race([ready.then(() => 'ready'), late]);
      if (outcome === 'late') throw new Error(`${this.name} is not ready after ${seconds} s`);
      if (ready === this.#ready) return;
    }
  }

  /** Sends a signal to the process, not to its children. An exit by that signal is no crash. */
  signal(signal: NodeJS.Signals): void {
    if (this.pid === null) return;
    if (signal === 'SIGKILL' || signal === 'SIGTERM') this.expectEnd();
    signalProcess(this.pid, signal);
  }

  /** Marks the process as one that may end by other means than `signal`. The returned function undoes that. */
  expectEnd(): () => void {
    const { pid } = this;
    if (pid !== null) this.#expected.add(pid);
    return () => void (pid !== null && this.#expected.delete(pid));
  }

  /** Signals the process and all its children. */
  signalAll(signal: NodeJS.Signals): void {
    if (signal === 'SIGKILL') this.expectEnd();
    for (const pid of [this.pid, ...this.children]) if (pid !== null) signalProcess(pid, signal);
  }

  /** SIGTERM without a restart; SIGKILL after `seconds`. Resolves to how it ended. */
  async stop(seconds = 40): Promise<number | NodeJS.Signals | null> {
    this.#stopping = true;
    const spawned = this.#spawned;
    if (!spawned) return null;
    signalGroup(spawned.pid, 'SIGCONT');
    signalProcess(spawned.pid, 'SIGTERM');
    const end = await Promise.race([spawned.ended, sleep(1000 * seconds, null, { ref: false })]);
    signalGroup(spawned.pid, 'SIGKILL');
    return end;
  }

  /** SIGKILL to the process and its children, without a restart. */
  kill(): void {
    this.#stopping = true;
    if (this.pid !== null) signalGroup(this.pid, 'SIGKILL');
  }

  #start(): void {
    const { entry, env, log, flags = [], wrapper = [] } = this.#options;
    const command = [...wrapper, process.execPath, ...process.execArgv, ...flags, fileURLToPath(entry)];
    const spawned = spawnInGroup(command[0]!, command.slice(1), { log, env, cwd: root, ipc: true });
    this.#spawned = spawned;
    this.#ready = new Promise((resolve) => {
      spawned.child.on('message', (message: { type?: string }) => {
        if (message.type === 'ready') resolve();
      });
    });
    // A wrapped process has no channel to a parent that would restart it.
    spawned.child.channel?.unref();
    void spawned.ended.then(async (end) => {
      this.#spawned = null;
      if (this.#stopping) return;
      if (!this.#expected.delete(spawned.pid)) this.crashes.push(`${this.name} ended with ${end}`);
      await sleep(restartPauseMs);
      if (!this.#stopping) this.#start();
    });
  }
}
