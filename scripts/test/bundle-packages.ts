import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

/** ES modules of hundreds of files. On Node 20 tsx asks a thread of its own about each: 0.6 s of CPU in every process. */
const packages = ['typebox'];

/**
 * Bundles packages of many files into `folder`. Returns the flag with which a Node process takes their modules from there; those
 * are the packages' own, in fewer files. A flag that comes twice does what one does.
 */
export async function bundlePackages(folder: string): Promise<string> {
  const urls: Record<string, string> = {};
  for (const name of packages) {
    const entries = Object.fromEntries(entriesOf(name).map(({ entry, file }) => [`${name}/${entry}`, file]));
    await build({
      entryPoints: entries,
      outdir: folder,
      outExtension: { '.js': '.mjs' },
      ...{ bundle: true, splitting: true, format: 'esm', platform: 'node', logLevel: 'error' },
    });
    for (const { specifier, entry } of entriesOf(name))
      urls[specifier] = pathToFileURL(join(folder, `${name}/${entry}.mjs`)).href;
  }
  mkdirSync(folder, { recursive: true });
  const hooks = `let urls;
export const initialize = (given) => { urls = given; };
export const resolve = (name, context, next) =>
  Object.hasOwn(urls, name) ? { url: urls[name], format: 'module', shortCircuit: true } : next(name, context);`;
  writeFileSync(join(folder, 'hooks.mjs'), hooks);
  const register = join(folder, 'register.mjs');
  writeFileSync(
    register,
    `import { register } from 'node:module';
const key = Symbol.for(import.meta.url);
if (!globalThis[key]) register('./hooks.mjs', { parentURL: import.meta.url, data: ${JSON.stringify(urls)} });
globalThis[key] = true;`,
  );
  return `--import=${pathToFileURL(register).href}`;
}

/** What may be imported of a package: as it is imported, a name for its bundle, and the file. */
function entriesOf(name: string): { specifier: string; entry: string; file: string }[] {
  const root = join(import.meta.dirname, '../../node_modules', name);
  const { exports }: { exports: Record<string, { import: string }> } = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  );
  return Object.entries(exports).map(([path, { import: file }]) => ({
    specifier: join(name, path),
    entry: path === '.' ? 'index' : path.slice(2),
    file: join(root, file),
  }));
}
