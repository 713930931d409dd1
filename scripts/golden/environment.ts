import { spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { cacheFolder } from './cache-folder.ts';

/**
 * The reference libraries, apart where they cannot live together: `peft` has transformers 5 and HF PEFT; `adapters` has the
 * `adapters` library, which wants transformers 4.
 */
const requirementsFiles = {
  peft: join(import.meta.dirname, 'requirements.txt'),
  adapters: join(import.meta.dirname, 'requirements-adapters.txt'),
} as const;
export type ReferenceLibrary = keyof typeof requirementsFiles;

/** Python versions for which the required torch has wheels. */
const oldestMinor = 10;
const newestMinor = 14;

/**
 * The Python interpreter of a reference environment: a virtual environment with PyTorch, transformers and the library,
 * made once per requirements and Python version under the cache folder. Made in a folder of its own and
 * then renamed, so that a run that is cut off, or two runs at once, leave no half-made environment.
 * Returns the interpreter's path. Takes some minutes the first time, milliseconds later.
 */
export async function pythonEnvironment(
  report: (line: string) => void = toStandardError,
  library: ReferenceLibrary = 'peft',
): Promise<string> {
  const requirementsFile = requirementsFiles[library];
  const python = findPython();
  const requirements = await readFile(requirementsFile, 'utf8');
  const key = createHash('sha256')
    .update([requirements, python.version, process.platform, process.arch].join('\n'))
    .digest('hex')
    .slice(0, 16);
  const folder = join(cacheFolder(), 'python', key);
  const interpreter = join(folder, 'bin', 'python');
  if (existsSync(interpreter)) return interpreter;

  report(`making the Python environment of ${library} (Python ${python.version}; once, some minutes)`);
  await removeAbandoned(folder, report);
  const unfinished = `${folder}.unfinished-${process.pid}-${randomBytes(3).toString('hex')}`;
  await mkdir(dirname(folder), { recursive: true });
  try {
    await runQuietly(python.command, ['-m', 'venv', unfinished], report);
    await runQuietly(
      join(unfinished, 'bin', 'python'),
      ['-m', 'pip', 'install', '--disable-pip-version-check', '--prefer-binary', '-r', requirementsFile],
      report,
    );
    // pip's own scripts name the unfinished folder; only the interpreter is used, and it does not mind.
    await rename(unfinished, folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  await writeFile(join(folder, 'requirements.txt'), requirements);
  report(`the Python environment of ${library} is ready: ${folder}`);
  return interpreter;
}

function findPython(): { command: string; version: string } {
  const script = 'import sys; print("%d.%d.%d" % sys.version_info[:3])';
  const names = ['python3', 'python3.13', 'python3.12', 'python3.11', 'python3.10', 'python'];
  for (const command of names) {
    const found = spawnSync(command, ['-c', script], { encoding: 'utf8' });
    const version = found.status === 0 ? found.stdout.trim() : '';
    const minor = Number(version.split('.')[1]);
    if (version.startsWith('3.') && minor >= oldestMinor && minor <= newestMinor) return { command, version };
  }
  throw new Error(
    `Python 3.${oldestMinor} to 3.${newestMinor} is needed for the reference tests. ` +
      'Debian: apt-get install python3 python3-venv; Fedora: dnf install python3; macOS: brew install python',
  );
}

/** Removes what earlier runs of processes that no longer live have left of this environment. */
async function removeAbandoned(folder: string, report: (line: string) => void): Promise<void> {
  const prefix = `${basename(folder)}.unfinished-`;
  const names = await readdir(dirname(folder)).catch(() => []);
  for (const name of names) {
    if (!name.startsWith(prefix) || isAlive(Number.parseInt(name.slice(prefix.length), 10))) continue;
    report(`removing a half-made environment: ${name}`);
    await rm(join(dirname(folder), name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Runs a command, reporting only pip's larger steps; its whole output goes into the error when it fails. */
async function runQuietly(command: string, args: string[], report: (line: string) => void): Promise<void> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      output.push(line);
      if (/^(Collecting|Building|Installing collected)/.test(line))
        report(`  ${line.replace(/ \(from .*/, '').slice(0, 100)}`);
    });
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (code !== 0) {
    throw new Error(
      `${command} ${args.join(' ')} failed (${code}). On Debian, python3-venv may be missing.\n` +
        output.slice(-30).join('\n'),
    );
  }
}

function toStandardError(line: string): void {
  process.stderr.write(`${line}\n`);
}
