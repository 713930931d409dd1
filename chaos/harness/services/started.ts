import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { openSync } from 'node:fs';

/** Process groups to kill when this process ends, however it ends, so that nothing outlives the run. */
const groups = new Set<number>();
/** Synchronous clean-ups for that moment: mounts, network namespaces. */
const undoings = new Set<() => void>();

process.on('exit', () => {
  for (const group of groups) signalGroup(group, 'SIGKILL');
  for (const undo of undoings) undo();
});

/** Calls `undo` when this process ends, or earlier when the returned function is called. */
export function undoAtExit(undo: () => void): () => void {
  undoings.add(undo);
  return () => {
    if (undoings.delete(undo)) undo();
  };
}

export interface Spawned {
  child: ChildProcess;
  pid: number;
  /** Exit code, or the signal that ended the process. */
  ended: Promise<number | NodeJS.Signals>;
}

/** Starts a command in a new process group, with both outputs appended to a file. Ctrl-C does not reach it. */
export function spawnInGroup(
  command: string,
  args: string[],
  options: { log: string; env?: NodeJS.ProcessEnv; cwd?: string; ipc?: boolean },
): Spawned {
  const log = openSync(options.log, 'a');
  const settings: SpawnOptions = {
    detached: true,
    stdio: options.ipc ? ['ignore', log, log, 'ipc'] : ['ignore', log, log],
    ...(options.env && { env: options.env }),
    ...(options.cwd && { cwd: options.cwd }),
  };
  const child = spawn(command, args, settings);
  const { pid } = child;
  if (pid === undefined) throw new Error(`${command} could not be started`);
  groups.add(pid);
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once('exit', (code, signal) => {
      // Kills its children too: a stopped trainer does not notice that its worker has ended.
      setTimeout(() => {
        signalGroup(pid, 'SIGKILL');
        groups.delete(pid);
      }, 15_000).unref();
      resolve(code ?? signal ?? 'SIGKILL');
    });
  });
  return { child, pid, ended };
}

/** Also a group of which some members have ended. */
export function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch {
    // It has ended.
  }
}

/** False: it has ended. */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}
