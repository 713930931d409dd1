import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { manifestsOf } from './sources.mjs';

/**
 * Packages that are ES modules of hundreds of files, and those that hand out the same: what is compiled takes them in a few files.
 * Both must come from there, so that a process has one of each.
 */
const gathered = /^(?:typebox|@fastify\/type-provider-typebox)(?:\/|$)/;

/**
 * Compiles each file by itself, so that modules stay what they are in the sources: one instance each, evaluated in their order.
 * Imports name the compiled files; all that lies beside a source (`import.meta`) is still found beside the source.
 * @param {string} root
 * @param {string} folder where the compiled files will be
 * @param {Set<string>} packages gets the names of gathered packages, as they are imported
 */
export function compiling(root, folder, packages) {
  const own = exportsOf(root);
  const compiledPath = (file) => path.join(folder, path.relative(root, file)).replace(/\.tsx?$/, '.js');
  return {
    name: 'graft',
    setup(build) {
      build.onResolve({ filter: /./ }, ({ path: name, kind, resolveDir }) => {
        if (kind === 'entry-point') return undefined;
        const from = compiledPath(resolveDir);
        const relative = (file) => ({ path: `./${path.relative(from, file)}`, external: true });
        if (gathered.test(name)) {
          packages.add(name);
          return relative(gatheredPath(folder, name));
        }
        const file = name.startsWith('.') ? path.resolve(resolveDir, name) : own.get(name);
        if (file === undefined) return { path: name, external: true };
        if (/\.tsx?$/.test(file)) return relative(compiledPath(file));
        return { path: pathToFileURL(file).href, external: true };
      });
      build.onLoad({ filter: /\.tsx?$/ }, ({ path: file }) => ({
        contents: placed(readFileSync(file, 'utf8'), file, compiledPath),
        loader: file.endsWith('x') ? 'tsx' : 'ts',
      }));
    },
  };
}

/** Where the compiled form of a gathered package is. */
export const gatheredPath = (folder, name) => path.join(folder, 'packages-of-others', `${name}.js`);

/** The file of each name under which Graft's own packages are imported. */
function exportsOf(root) {
  const files = new Map();
  for (const manifest of manifestsOf(root)) {
    const { name, exports = {} } = JSON.parse(readFileSync(manifest, 'utf8'));
    const folder = path.dirname(manifest);
    for (const [entry, file] of Object.entries(exports)) {
      if (typeof file !== 'string') continue;
      if (!entry.endsWith('*')) files.set(path.posix.join(name, entry), path.join(folder, file));
      else
        for (const [each, found] of matchesOf(path.join(folder, file)))
          files.set(path.posix.join(name, each), found);
    }
  }
  return files;
}

/** Each file that a pattern of exports such as `src/*.ts` names, by what stands for `*`. */
function matchesOf(pattern) {
  const [folder, ending] = pattern.split('*');
  return readdirSync(folder, { recursive: true })
    .filter((file) => file.endsWith(ending))
    .map((file) => [file.slice(0, -ending.length).replaceAll(path.sep, '/'), path.join(folder, file)]);
}

/** Where a file lies is where its source lies, but a thread or process that it starts is the compiled one. */
function placed(text, file, compiledPath) {
  if (!text.includes('import.meta.')) return text;
  const directory = path.dirname(file);
  return text
    .replaceAll(/new URL\((['"])([^'":]+\.tsx?)\1, import\.meta\.url\)/g, (_, _quote, name) => {
      const started = pathToFileURL(compiledPath(path.resolve(directory, name)));
      return `new URL(${JSON.stringify(started.href)})`;
    })
    .replaceAll(/\bimport\.meta\.url\b/g, () => JSON.stringify(pathToFileURL(file).href))
    .replaceAll(/\bimport\.meta\.dirname\b/g, () => JSON.stringify(directory))
    .replaceAll(/\bimport\.meta\.filename\b/g, () => JSON.stringify(file));
}
