#!/usr/bin/env node
// Native TensorFlow for tfjs-node. Its own install script downloads a library that is no longer served; the Python
// packages carry a current one with the whole C API. So: fetch that wheel with pip, take the libraries out of it, compile
// tfjs-node's addon against them, and put the addon where tfjs-node looks. Everything is kept in the cache folder, by
// version, platform and content, and shared by all checkouts. Needs no node_modules but @tensorflow/tfjs-node-gpu's files.
import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { argv, exit, pid } from 'node:process';
import { fileURLToPath } from 'node:url';
import { cacheFolder } from './cache-folder.mjs';
import { withLock } from './lock.mjs';
import { compileAddon, headerFolder } from './tensorflow/compile-addon.mjs';
import { compileKernels } from './tensorflow/compile-kernels.mjs';
import { fetchLibraries } from './tensorflow/fetch-libraries.mjs';
import {
  chooseDevice,
  ExpectedError,
  findCompiler,
  findPython,
  PrerequisiteError,
} from './tensorflow/prerequisites.mjs';
import { platformWheel, VERSION } from './tensorflow/wheels.mjs';

/**
 * Makes `@tensorflow/tfjs-node-gpu` under `root` loadable. Does nothing, in a few milliseconds, when it already is.
 * @param {{ log: (line: string) => void, cacheDir: string, root: string }} options cacheDir: Graft's cache folder;
 *   root: the folder that holds node_modules and packages.
 * @returns {Promise<{ device: 'cpu' | 'gpu', folder: string, built: boolean }>} folder: where the libraries are.
 * @throws {PrerequisiteError} when something has to be installed first; its message is one line that says what and how.
 */
export async function ensureTensorflow({ log, cacheDir, root }) {
  const tfjs = join(root, 'node_modules/@tensorflow/tfjs-node-gpu');
  const native = join(root, 'packages/tf-graph/native');
  const installed = join(tfjs, 'lib/napi-v8/tfjs_binding.node');
  const stamp = join(tfjs, 'lib/napi-v8/graft.json');
  if (!existsSync(tfjs)) throw new PrerequisiteError('npm ci has to run before TensorFlow can be built');

  const sources = await readSources([join(tfjs, 'binding'), native, join(native, 'beside')], false);
  const kernels = await readSources([join(native, 'kernels'), join(native, 'kernel-ops')], true);
  const before = await readStamp(stamp);
  const device = chooseDevice(before?.device);
  const wheel = platformWheel(device);
  const content = createHash('sha256').update(
    JSON.stringify([wheel, ...[...sources, ...kernels].map(({ digest }) => digest)]),
  );
  const key = `${VERSION}-${wheel.platform}-${device}-${content.digest('hex').slice(0, 12)}`;
  const folder = join(cacheDir, 'tensorflow', key);
  if (before?.key === key && before.folder === folder && existsSync(installed) && existsSync(folder)) {
    return { device, folder, built: false };
  }

  const build = async () => {
    if (existsSync(folder)) return false;
    const started = performance.now();
    const tools = { python: findPython(), compiler: findCompiler(), headers: headerFolder(root) };
    await removeLeftovers(dirname(folder));
    const work = `${folder}.tmp-${randomUUID()}`;
    try {
      await mkdir(work);
      await fetchLibraries({ log, wheel, device, folder: work, python: tools.python });
      const compiling = [
        compileAddon({ log, tools, sources: sources.map(({ path }) => path), device, work, folder }),
        compileKernels({ log, compiler: tools.compiler, native, work }),
      ];
      // Neither may write any more when the folder is removed: that would fail, and hide why.
      await Promise.allSettled(compiling);
      await Promise.all(compiling);
      await rm(join(work, 'tensorflow/include'), { recursive: true });
      await rename(work, folder).catch((error) => {
        if (!existsSync(folder)) throw error; // else another process was faster
      });
    } finally {
      await rm(work, { recursive: true, force: true });
    }
    const took = `${((performance.now() - started) / 1000).toFixed(0)} s`;
    log(`TensorFlow ${VERSION} (${device}) is ready: ${took}, kept in ${folder}`);
    return true;
  };
  /** @param {number} pid */
  const onWait = (pid) => log(`waiting for another process (${pid}) that is doing this already`);
  const built = existsSync(folder) ? false : await withLock({ onWait, path: `${folder}.lock` }, build);

  await mkdir(dirname(installed), { recursive: true });
  // Renamed into place: a running process may have the old file mapped.
  await copyFile(join(folder, 'tfjs_binding.node'), `${installed}.${pid}`);
  await rename(`${installed}.${pid}`, installed);
  await writeFile(`${stamp}.${pid}`, `${JSON.stringify({ key, device, folder })}\n`);
  await rename(`${stamp}.${pid}`, stamp);
  return { device, folder, built };
}

/**
 * Half-built folders of runs that were killed.
 * @param {string} cache
 */
async function removeLeftovers(cache) {
  for (const name of await readdir(cache)) {
    if (!name.includes('.tmp-')) continue;
    const hours = (Date.now() - (await stat(join(cache, name))).mtimeMs) / 3_600_000;
    if (hours > 2) await rm(join(cache, name), { recursive: true, force: true });
  }
}

/**
 * @param {string[]} folders
 * @param {boolean} recursive
 */
async function readSources(folders, recursive) {
  const found = [];
  for (const folder of folders) {
    const names = await readdir(folder, { recursive });
    for (const name of names.filter((name) => /\.(cc|h)$/.test(name)).sort()) {
      const path = join(folder, name);
      found.push({
        path,
        digest: createHash('sha256')
          .update(await readFile(path))
          .digest('hex'),
      });
    }
  }
  return found;
}

/**
 * @param {string} path
 * @returns {Promise<{ key: string, device: 'cpu' | 'gpu', folder: string } | null>}
 */
async function readStamp(path) {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch {
    return null; // never built, or not by this script
  }
}

if (argv[1] && resolve(argv[1]) === fileURLToPath(import.meta.url)) {
  const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
  const cacheDir = cacheFolder();
  try {
    const { device, built } = await ensureTensorflow({ log: console.log, cacheDir, root });
    if (!built) console.log(`TensorFlow ${VERSION} (${device}) is in place`);
  } catch (error) {
    console.error(error instanceof ExpectedError ? error.message : error);
    exit(1);
  }
}
