import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** Digest of the sources, or version of the library, of every part on which the golden matrix depends. */
type Parts = Record<string, string>;

/** Parts with which the whole matrix passed: see `recordWholeMatrix`. */
const recordFile = 'test/golden/matrix/whole-matrix.json';

/** Folders of which each folder and file is a part. */
const divided = ['tuners', 'models', 'outlines'].map((name) => `packages/peft-core/src/${name}`);
const undivided = [
  'packages/peft-core/src/nn',
  'packages/tf-graph/native',
  'scripts/golden/references',
  'test/golden/matrix',
];
/** Python libraries that the matrix compares with; a patch version is no change. */
const libraries = ['torch', 'transformers', 'peft', 'adapters'];

/**
 * Changes since the whole matrix passed, as GRAFT_MATRIX_CHANGED names them (see test/golden/matrix/cells.ts): the folder of a
 * method, a model type, or `*` for a change that concerns every cell, such as a kernel's.
 * @param known the names that cells have; a change of any other part concerns every cell
 * @param pythons interpreters of the environments that have the libraries; without any, versions do not count
 */
export function matrixChanges(
  root: string,
  known: ReadonlySet<string>,
  pythons: readonly string[],
): string[] {
  const file = join(root, recordFile);
  const recorded: Parts = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
  const now = matrixParts(root, pythons);
  const changed = [...new Set([...Object.keys(recorded), ...Object.keys(now)])].filter(
    (part) => recorded[part] !== now[part] && (pythons.length > 0 || !libraries.includes(part)),
  );
  const names = changed.map((part) => {
    const name = basename(part, '.ts');
    return divided.includes(dirname(part)) && known.has(name) ? name : '*';
  });
  return names.includes('*') ? ['*'] : [...new Set(names)].sort();
}

/** Records that the whole matrix passed with the sources and libraries as they are; the file is to be committed. */
export function recordWholeMatrix(root: string, pythons: readonly string[]): string {
  writeFileSync(join(root, recordFile), `${JSON.stringify(matrixParts(root, pythons), null, 2)}\n`);
  return recordFile;
}

function matrixParts(root: string, pythons: readonly string[]): Parts {
  const parts: Parts = {};
  for (const folder of divided) {
    for (const name of readdirSync(join(root, folder))) {
      const sources = sourcesIn(root, join(folder, name));
      if (sources.length > 0) parts[join(folder, name)] = digestOf(root, sources);
    }
  }
  for (const folder of undivided) parts[folder] = digestOf(root, sourcesIn(root, folder));
  for (const name of libraries) parts[name] = versionOf(name, pythons);
  return parts;
}

/** The sources at or below a path, without tests. */
function sourcesIn(root: string, path: string): string[] {
  const isFolder = statSync(join(root, path)).isDirectory();
  const names = isFolder ? readdirSync(join(root, path), { recursive: true, encoding: 'utf8' }) : [''];
  return names
    .map((name) => join(path, name))
    .filter((file) => /\.(ts|py|cc|h)$/.test(file) && !/\.test\.ts$|\/testing\//.test(file))
    .sort();
}

/** The digest of files without the lines of their comments. */
function digestOf(root: string, files: readonly string[]): string {
  const hash = createHash('sha256');
  for (const file of files) {
    const text = readFileSync(join(root, file), 'utf8').replaceAll(/^\s*(\/\/|\/\*|\*\/|\* |\*$).*\n/gm, '');
    hash.update(`${file}\n${text}\n`);
  }
  return hash.digest('hex').slice(0, 16);
}

/** `2.13`, of all environments that have the library. */
function versionOf(library: string, pythons: readonly string[]): string {
  const found = pythons.flatMap((python) => {
    const lib = join(dirname(python), '../lib');
    return readdirSync(lib)
      .filter((name) => name.startsWith('python'))
      .flatMap((name) => readdirSync(join(lib, name, 'site-packages')))
      .map((name) => new RegExp(`^${library}-(\\d+\\.\\d+).*\\.dist-info$`).exec(name)?.[1] ?? '')
      .filter(Boolean);
  });
  return [...new Set(found)].sort().join(', ');
}
