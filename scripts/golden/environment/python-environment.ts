import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { cacheFolder } from '../../bootstrap/cache-folder.mjs';
import { canImport, makeEnvironment } from './make-environment.ts';

/**
 * The reference libraries, in separate environments if their requirements conflict: `peft` has transformers 5 and HF PEFT; `adapters` the
 * `adapters` library, which needs transformers 4; `quantised` HF PEFT with bitsandbytes; `moto` an S3 server; `tracking` servers of experiment
 * trackers; `trl` TRL, and `sentences` sentence-transformers, both without the libraries that `peft` has; `mlx` mlx-lm; `go` the Go toolchain.
 */
const requirementsFiles = {
  peft: join(import.meta.dirname, 'requirements.txt'),
  adapters: join(import.meta.dirname, 'requirements-adapters.txt'),
  quantised: join(import.meta.dirname, 'requirements-quantised.txt'),
  moto: join(import.meta.dirname, 'requirements-moto.txt'),
  tracking: join(import.meta.dirname, 'requirements-tracking.txt'),
  trl: join(import.meta.dirname, 'requirements-trl.txt'),
  sentences: join(import.meta.dirname, 'requirements-sentences.txt'),
  mlx: join(import.meta.dirname, 'requirements-mlx.txt'),
  go: join(import.meta.dirname, 'requirements-go.txt'),
} as const;
export type ReferenceLibrary = keyof typeof requirementsFiles;
export const referenceLibraries = Object.keys(requirementsFiles) as ReferenceLibrary[];

/** Python versions for which the required torch has wheels. */
const oldestMinor = 10;
const newestMinor = 14;

/**
 * Returns the path of the Python interpreter of a reference environment, which is created once per requirements and Python version in the
 * cache folder. Takes some minutes the first time, milliseconds later. Throws one line.
 */
export async function pythonEnvironment(
  report: (line: string) => void = toStandardError,
  library: ReferenceLibrary = 'peft',
): Promise<string> {
  return await environmentOf(requirementsFiles[library], library, report);
}

/** Folder of the packages of an environment, by its interpreter. */
export function packagesOf(python: string): string {
  const lib = join(dirname(python), '..', 'lib');
  const version = readdirSync(lib).find((name) => name.startsWith('python'));
  return join(lib, version!, 'site-packages');
}

/** The interpreter of an existing reference environment; null if there is none. */
export async function findPythonEnvironment(library: ReferenceLibrary = 'peft'): Promise<string | null> {
  return findExisting(await readFile(requirementsFiles[library], 'utf8')).made;
}

/** Like `pythonEnvironment`, for any requirements file; `name` is used in messages. */
export async function environmentOf(
  requirementsFile: string,
  name: string,
  report: (line: string) => void = toStandardError,
): Promise<string> {
  const requirements = await readFile(requirementsFile, 'utf8');
  const { made, pythons } = findExisting(requirements);
  if (made !== null) return made;
  if (pythons.length === 0) {
    throw new Error(
      `Python 3.${oldestMinor} to 3.${newestMinor} is needed. Install it with: ` +
        'sudo apt install python3 python3-pip (Debian, Ubuntu), sudo dnf install python3 python3-pip (Fedora), brew install python (macOS)',
    );
  }
  const python = pythons.find(({ command }) => canImport(command, 'pip') || canImport(command, 'ensurepip'));
  if (!python) {
    throw new Error(
      `pip is missing for ${pythons[0]?.command} (${name} is installed with it). Install it with: ` +
        'sudo apt install python3-pip (Debian, Ubuntu), sudo dnf install python3-pip (Fedora), python3 -m ensurepip (macOS)',
    );
  }
  const folder = folderOf(requirements, python.version);
  report(`making the Python environment of ${name} (Python ${python.version}; once, some minutes)`);
  await removeAbandoned(folder, report);
  await makeEnvironment({ python: python.command, requirementsFile, folder, report });
  await writeFile(join(folder, 'requirements.txt'), requirements);
  report(`the Python environment of ${name} is ready: ${folder}`);
  return join(folder, 'bin', 'python');
}

/** The interpreter of an existing environment for a Python of this machine, or else the Pythons for which one can be created. */
function findExisting(requirements: string): { made: string | null; pythons: Python[] } {
  const pythons: Python[] = [];
  for (const python of findPythons()) {
    const made = join(folderOf(requirements, python.version), 'bin', 'python');
    if (existsSync(made)) return { made, pythons };
    pythons.push(python);
  }
  return { made: null, pythons };
}

function folderOf(requirements: string, version: string): string {
  const key = createHash('sha256').update([requirements, version, process.platform, process.arch].join('\n'));
  return join(cacheFolder(), 'python', key.digest('hex').slice(0, 16));
}

type Python = { command: string; version: string };

/** Every suitable Python on the PATH, the preferred one first. */
function* findPythons(): Generator<Python, void, void> {
  const script = 'import sys; print("%d.%d.%d" % sys.version_info[:3])';
  const names = ['python3', 'python3.13', 'python3.12', 'python3.11', 'python3.10', 'python'];
  for (const command of names) {
    const found = spawnSync(command, ['-c', script], { encoding: 'utf8' });
    const version = found.status === 0 ? found.stdout.trim() : '';
    const minor = Number(version.split('.')[1]);
    if (version.startsWith('3.') && minor >= oldestMinor && minor <= newestMinor) yield { command, version };
  }
}

/** Removes incomplete copies of this environment that processes left when they died. */
async function removeAbandoned(folder: string, report: (line: string) => void): Promise<void> {
  const prefix = `${basename(folder)}.unfinished-`;
  const names = await readdir(dirname(folder)).catch(() => []);
  for (const name of names) {
    if (!name.startsWith(prefix) || isAlive(Number.parseInt(name.slice(prefix.length), 10))) continue;
    report(`removing an incomplete environment: ${name}`);
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

function toStandardError(line: string): void {
  process.stderr.write(`${line}\n`);
}
