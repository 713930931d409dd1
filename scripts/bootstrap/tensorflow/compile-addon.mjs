import { existsSync, realpathSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
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
  if (!found) throw new PrerequisiteError(`Node's headers are missing: run npm ci (looked in ${candidates.join(', ')})`);
  return found;
}

/**
 * Compiles tfjs-node's addon against the libraries in `work`, to be used from `folder` once `work` is renamed to it.
 * @param {{
 *   log: (line: string) => void,
 *   tools: { python: string, compiler: string, headers: string },
 *   sources: string[],
 *   work: string,
 *   folder: string,
 * }} options
 */
export async function compileAddon({ log, tools, sources, work, folder }) {
  log('compiling the addon, about 20 seconds …');
  const started = performance.now();
  const libraries = (await readdir(join(work, 'tensorflow'))).filter((name) => name.startsWith('libtensorflow'));
  const output = join(work, 'tfjs_binding.node');
  await run(
    tools.compiler,
    [
      ...['-std=c++17', '-O2', '-fPIC', '-shared', '-w', '-DNAPI_VERSION=8', '-DBUILDING_NODE_EXTENSION'],
      ...[tools.headers, join(work, 'tensorflow/include')].map((path) => `-I${path}`),
      ...sources.filter((path) => path.endsWith('.cc')),
      ...libraries.map((name) => join(work, 'tensorflow', name)),
      `-Wl,-rpath,${join(folder, 'tensorflow')}`,
      ...(process.platform === 'darwin' ? ['-undefined', 'dynamic_lookup'] : []),
      ...['-o', output],
    ],
    'compiling the addon',
  );
  // Loading it proves that libraries, compiler and Node fit together.
  const probe = 'process.stdout.write(require(process.argv[1]).TF_Version)';
  await run(process.execPath, ['-e', probe, output], 'loading the compiled addon', {
    ...process.env,
    LD_LIBRARY_PATH: join(work, 'tensorflow'),
    DYLD_LIBRARY_PATH: join(work, 'tensorflow'),
  });
  await rm(join(work, 'tensorflow/include'), { recursive: true });
  log(`compiled the addon: ${((performance.now() - started) / 1000).toFixed(0)} s`);
}
