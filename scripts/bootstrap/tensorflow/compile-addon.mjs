import { existsSync, realpathSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { run } from './fetch-libraries.mjs';
import { PrerequisiteError } from './prerequisites.mjs';

/**
 * The folder of node_api.h. The interface is the same in every Node (N-API 8), so the npm package of it serves where Node
 * came without headers.
 * @param {string} root
 */
export function headerFolder(root) {
  const beside = join(dirname(realpathSync(process.execPath)), '../include/node');
  const candidates = [join(root, 'node_modules/node-api-headers/include'), beside];
  const found = candidates.find((folder) => existsSync(join(folder, 'node_api.h')));
  if (!found)
    throw new PrerequisiteError(
      `Node's headers are missing: run npm ci (looked in ${candidates.join(', ')})`,
    );
  return found;
}

/**
 * Compiles tfjs-node's addon against the libraries in `work`, to be used from `folder` once `work` is renamed to it, and the small one
 * that loads it.
 * @param {{
 *   log: (line: string) => void,
 *   tools: { python: string, compiler: string, headers: string },
 *   sources: string[],
 *   device: 'cpu' | 'gpu',
 *   work: string,
 *   folder: string,
 * }} options
 */
export async function compileAddon({ log, tools, sources, device, work, folder }) {
  log('compiling the addon, about 20 seconds …');
  const started = performance.now();
  const libraries = join(work, 'tensorflow');
  const names = (await readdir(libraries)).filter((name) => name.startsWith('libtensorflow'));
  const include = [tools.headers, join(libraries, 'include')].map((path) => `-I${path}`);
  // native/session.cc is the addon's entry and calls tfjs-node's.
  const entry = '-Dnapi_register_module_v1=tfjs_register_module';
  const flags = ['-std=c++17', '-O2', '-fPIC', '-shared', '-w', '-DNAPI_VERSION=8', entry, ...include];
  if (device === 'gpu') flags.push('-DGRAFT_GPU');
  const output = join(work, 'tfjs_binding.node');
  /** @param {string} path */
  const loadsBeside = (path) => basename(path) === 'load-beside.cc';
  const code = sources.filter((path) => path.endsWith('.cc') && !loadsBeside(path));
  const macos = process.platform === 'darwin';
  const undefinedSymbols = macos ? ['-undefined', 'dynamic_lookup'] : [];
  /** @param {string} path */
  const runsBefore = (path) => ['quiet-log.cc', 'while-loading.cc'].includes(basename(path));

  // On Linux what has to run before TensorFlow's libraries are initialized is a separate library, the one that the loader initializes
  // first. Its symbols are TensorFlow's, found when both are loaded.
  const before = join(libraries, 'libbefore_tensorflow.so');
  if (!macos) {
    const args = [...flags, ...code.filter(runsBefore), '-Wl,-z,initfirst', '-o', before];
    await run(tools.compiler, args, 'compiling what runs before TensorFlow');
  }
  await run(
    tools.compiler,
    [
      ...flags,
      ...code.filter((path) => macos || !runsBefore(path)),
      ...names.map((name) => join(libraries, name)),
      ...(macos ? undefinedSymbols : ['-Wl,--no-as-needed', '-L', libraries, '-l:libbefore_tensorflow.so']),
      `-Wl,-rpath,${join(folder, 'tensorflow')}`,
      '-o',
      output,
    ],
    'compiling the addon',
  );
  await run(
    tools.compiler,
    [
      '-std=c++17',
      '-O2',
      '-fPIC',
      '-shared',
      '-pthread',
      '-DNAPI_VERSION=8',
      `-I${tools.headers}`,
      ...sources.filter(loadsBeside),
      ...undefinedSymbols,
      '-o',
      join(work, 'load_beside.node'),
    ],
    'compiling what loads the addon',
  );
  // Loading it proves that libraries, compiler and Node fit together.
  const probe =
    'const addon = require(process.argv[1]); addon.closeSession(addon.createSession()); process.stdout.write(addon.TF_Version)';
  const paths = { LD_LIBRARY_PATH: libraries, DYLD_LIBRARY_PATH: libraries };
  await run(process.execPath, ['-e', probe, output], 'loading the compiled addon', {
    ...process.env,
    ...paths,
  });
  log(`compiled the addon: ${((performance.now() - started) / 1000).toFixed(0)} s`);
}
