import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pythonEnvironment, type ReferenceLibrary } from './python-environment.ts';

/**
 * Runs a script of scripts/golden in a reference environment and returns its standard output.
 * A plan, if given, is written to a file that becomes the script's first argument.
 * Throws with the end of the script's standard error when it fails.
 */
export async function runPython(
  script: string,
  args: string[],
  plan?: unknown,
  library: ReferenceLibrary = 'peft',
): Promise<string> {
  const python = await pythonEnvironment(undefined, library);
  if (plan === undefined) return run(python, [join(import.meta.dirname, script), ...args]);
  const folder = await mkdtemp(join(tmpdir(), 'graft-plan-'));
  try {
    const file = join(folder, 'plan.json');
    await writeFile(file, JSON.stringify(plan));
    return await run(python, [join(import.meta.dirname, script), file, ...args]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** As runPython, for scripts that write one JSON value a line. */
export async function runPythonJson<T>(
  script: string,
  args: string[],
  plan?: unknown,
  library: ReferenceLibrary = 'peft',
): Promise<T[]> {
  const output = await runPython(script, args, plan, library);
  return output
    .split('\n')
    .filter((line) => line.startsWith('{') || line.startsWith('['))
    .map((line) => JSON.parse(line) as T);
}

async function run(python: string, args: string[]): Promise<string> {
  const child = spawn(python, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    // Threads that wait give their core to whatever else runs, such as the test's other processes.
    env: { ...process.env, OMP_WAIT_POLICY: 'PASSIVE' },
  });
  const output: string[] = [];
  const errors: string[] = [];
  child.stdout.setEncoding('utf8').on('data', (text: string) => output.push(text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => errors.push(text));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (code !== 0) {
    throw new Error(`python ${args.join(' ')} failed (${code})\n${errors.join('').slice(-4000)}`);
  }
  return output.join('');
}
