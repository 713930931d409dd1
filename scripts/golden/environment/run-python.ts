import { spawn } from 'node:child_process';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pythonEnvironment, type ReferenceLibrary } from './python-environment.ts';
import { isWarm, pythonSettings, runWarm } from './warm-python.ts';

const scripts = join(import.meta.dirname, '../references');

/** Python's arguments that run a script which ends when this process has ended, even by SIGKILL. */
export const withParent = (...script: string[]): string[] => [
  join(import.meta.dirname, 'run_with_parent.py'),
  String(process.pid),
  ...script,
];

/** `library`: by default `peft`. */
export interface PythonOptions {
  library?: ReferenceLibrary;
}

/**
 * Runs a script of scripts/golden/references in a reference environment and returns its standard output. During a test run it forks a
 * preloaded Python if there is one; otherwise it starts a process. A `plan` is written to a file whose path becomes the script's first
 * argument. If the script fails, throws an error with the end of its standard error.
 */
export async function runPython(
  script: string,
  args: string[],
  plan?: unknown,
  { library = 'peft' }: PythonOptions = {},
): Promise<string> {
  const start = performance.now();
  const folder = await mkdtemp(join(tmpdir(), 'graft-python-'));
  try {
    const planFile = join(folder, 'plan.json');
    if (plan !== undefined) await writeFile(planFile, JSON.stringify(plan));
    const request = {
      arguments: [join(scripts, script), ...(plan === undefined ? [] : [planFile]), ...args],
      stdout: join(folder, 'stdout'),
      stderr: join(folder, 'stderr'),
    };
    const warm = process.env.GRAFT_TEST_SCRATCH;
    const code = isWarm(warm, library)
      ? await runWarm(warm, library, request)
      : await runFresh(await pythonEnvironment(undefined, library), request);
    if (code !== 0) {
      const errors = await readFile(request.stderr, 'utf8').catch(() => '');
      throw new Error(`python ${request.arguments.join(' ')} failed (${code})\n${errors.slice(-4000)}`);
    }
    return await readFile(request.stdout, 'utf8');
  } finally {
    await rm(folder, { recursive: true, force: true });
    performance.measure('waiting for Python', { start });
  }
}

/** As runPython, for scripts that write one JSON value a line. */
export async function runPythonJson<T>(
  script: string,
  args: string[],
  plan?: unknown,
  options?: PythonOptions,
): Promise<T[]> {
  const output = await runPython(script, args, plan, options);
  return output
    .split('\n')
    .filter((line) => line.startsWith('{') || line.startsWith('['))
    .map((line) => JSON.parse(line) as T);
}

async function runFresh(
  python: string,
  request: { arguments: string[]; stdout: string; stderr: string },
): Promise<number | null> {
  const [stdout, stderr] = await Promise.all([open(request.stdout, 'w'), open(request.stderr, 'w')]);
  try {
    const child = spawn(python, withParent(...request.arguments), {
      stdio: ['ignore', stdout.fd, stderr.fd],
      env: { ...process.env, ...pythonSettings },
    });
    return await new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', resolve);
    });
  } finally {
    await Promise.all([stdout.close(), stderr.close()]);
  }
}
