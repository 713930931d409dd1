import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ReferenceLibrary } from './python-environment.ts';

/** Modules that the scripts of a library import; the first two of each take seconds. */
const modules: Partial<Record<ReferenceLibrary, string[]>> = {
  peft: ['reference', 'training_loop', 'tiny_models'],
  adapters: ['adapters', 'base_models', 'training_loop', 'tiny_models'],
};

/** Threads that wait give their core to whatever else runs, such as the test's other processes. */
export const pythonSettings = { OMP_WAIT_POLICY: 'PASSIVE' };

const socketIn = (folder: string, library: ReferenceLibrary) => join(folder, `python-${library}.sock`);
/** The system's limit of a socket's path, the smallest of those that there are. */
const longestSocketPath = 100;

/**
 * Starts a Python that has imported a library's modules, for `runWarm` with the same folder; it ends with this process or by
 * `stop`. Only on Linux: elsewhere a process of several threads is not safe to fork.
 */
export async function startWarmPython(
  folder: string,
  python: string,
  library: ReferenceLibrary,
  imports: readonly string[] = modules[library] ?? [],
): Promise<{ stop(): Promise<void> }> {
  const socket = socketIn(folder, library);
  if (process.platform !== 'linux' || socket.length > longestSocketPath || imports.length === 0) {
    return { stop: async () => {} };
  }
  const scripts = join(import.meta.dirname, '../references');
  const child = spawn(python, [join(import.meta.dirname, 'warm_python.py'), socket, scripts, ...imports], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...pythonSettings },
  });
  const ended = once(child, 'exit');
  const [line] = await Promise.race([once(createInterface({ input: child.stdout }), 'line'), ended]);
  if (line !== 'listening') throw new Error(`the warm Python of ${library} ended with ${line}`);
  return {
    stop: async () => {
      child.stdin.end();
      await ended;
    },
  };
}

/** True where a warm Python of this library serves the run of tests that this process belongs to. */
export function isWarm(folder: string | undefined, library: ReferenceLibrary): folder is string {
  return folder !== undefined && existsSync(socketIn(folder, library));
}

/**
 * Runs a script in a fork of the warm Python; its outputs go to the files. Resolves to its exit code, null when it was killed.
 * The script's time is measured as `CPU of Python`: the fork is no child of this process.
 */
export async function runWarm(
  folder: string,
  library: ReferenceLibrary,
  request: { arguments: string[]; stdout: string; stderr: string },
): Promise<number | null> {
  const socket = connect(socketIn(folder, library));
  socket.write(`${JSON.stringify(request)}\n`);
  let answer = '';
  for await (const chunk of socket.setEncoding('utf8')) answer += chunk;
  if (answer === '') return null;
  const { code, cpu_seconds }: { code: number; cpu_seconds: number } = JSON.parse(answer);
  performance.measure('CPU of Python', { start: 0, duration: 1000 * cpu_seconds });
  return code;
}
