import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';

/** Folders that contain source code. */
export const areas = ['packages', 'apps', 'scripts', 'bench', 'chaos', 'test'];

const source = /\.(tsx?|mts|mjs|js|css|py|cc|h)$/;
const skipped = new Set(['node_modules', 'generated', 'dist', '__pycache__', 'testdata']);

export interface SourceFile {
  /** Path from the root, with forward slashes. */
  path: string;
  text: string;
  lines: number;
}

/** Every source file below `root` in one of `folders`, sorted by path. */
export function sourceFiles(root: string, folders = areas): SourceFile[] {
  const found: SourceFile[] = [];
  const walk = (folder: string) => {
    if (!existsSync(join(root, folder))) return;
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = posix.join(folder, entry.name);
      if (entry.isDirectory() && !skipped.has(entry.name)) walk(path);
      else if (entry.isFile() && source.test(entry.name)) {
        const text = readFileSync(join(root, path), 'utf8');
        found.push({ path, text, lines: text.split('\n').length - (text.endsWith('\n') ? 1 : 0) });
      }
    }
  };
  for (const folder of folders) walk(folder);
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Matches tests, and modules that only tests use. */
const testPath = /\.test\.tsx?$|(^|\/)testing(\/|\.ts$)/;

/**
 * Import cycles, each as the path around it: `a.ts → b.ts → a.ts`. Type-only imports, `export … from` and `import('…')` count. For
 * files in several cycles the shortest is reported.
 */
export function importCircles(root: string, files: SourceFile[]): string[] {
  return circlesIn(importGraph(root, files)).map((circle) => circle.join(' → '));
}

/**
 * Cycles between the folders in each package's `src`, each with the imports that cause it. A nested folder counts as its top-level
 * folder; a file directly in `src` counts as a folder. Tests do not count.
 */
export function folderCircles(root: string, files: SourceFile[]): string[] {
  const folderOf = (path: string) => /^(?:packages|apps)\/[^/]+\/src\/[^/]+/.exec(path)?.[0];
  const folders = new Map<string, string[]>();
  const causes = new Map<string, string[]>();
  for (const [path, targets] of importGraph(
    root,
    files.filter(({ path }) => !testPath.test(path)),
  )) {
    const from = folderOf(path);
    for (const target of targets) {
      const to = folderOf(target);
      if (!from || !to || from === to || dirname(from) !== dirname(to)) continue;
      folders.set(from, [...(folders.get(from) ?? []), to]);
      const edge = `${from} → ${to}`;
      causes.set(edge, [...(causes.get(edge) ?? []), `  ${path} imports ${target}`]);
    }
  }
  return circlesIn(folders).map((circle) => {
    const edges = circle.slice(1).map((to, i) => `${circle[i]} → ${to}`);
    return [circle.join(' → '), ...edges.flatMap((edge) => causes.get(edge)!)].join('\n');
  });
}

/** The files that each file imports. */
function importGraph(root: string, files: SourceFile[]): Map<string, string[]> {
  const known = new Set(files.map(({ path }) => path));
  const entries = packageEntries(root);
  return new Map(
    files.map(({ path, text }) => [
      path,
      importedBy(text)
        .map((name) => (name.startsWith('.') ? posix.join(dirname(path), name) : entries.get(name)))
        .filter((target) => target !== undefined && known.has(target)) as string[],
    ]),
  );
}

/** The shortest cycle through each node that is in no earlier cycle, starting and ending at the node. */
function circlesIn(imports: Map<string, string[]>): string[][] {
  const circles: string[][] = [];
  const known = new Set<string>();
  for (const start of imports.keys()) {
    if (known.has(start)) continue;
    const circle = shortestCircle(imports, start);
    if (circle === null) continue;
    for (const path of circle) known.add(path);
    circles.push([...circle, start]);
  }
  return circles;
}

/** The modules that a file imports, ignoring comments. */
function importedBy(text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
  const from = code.matchAll(/^\s*(?:import|export)\b[^'"`;]*?(?:\bfrom\s*)?'([^'\n]+)'/gm);
  const called = code.matchAll(/\bimport\(\s*'([^'\n]+)'\s*\)/g);
  return [...from, ...called].map(([, name]) => name as string);
}

/** The file of each `@graft/…` entry point that a package.json exports. */
export function packageEntries(root: string): Map<string, string> {
  const entries = new Map<string, string>();
  for (const area of ['packages', 'apps']) {
    if (!existsSync(join(root, area))) continue;
    for (const folder of readdirSync(join(root, area))) {
      const file = join(root, area, folder, 'package.json');
      if (!existsSync(file)) continue;
      const { name, exports = {} } = JSON.parse(readFileSync(file, 'utf8'));
      for (const [entry, target] of Object.entries(exports as Record<string, string>))
        for (const each of target.includes('*')
          ? readdirSync(join(root, area, folder, 'src'), { recursive: true, encoding: 'utf8' })
          : [''])
          entries.set(
            posix.join(name, entry.replace('*', each.slice(0, -'.ts'.length))),
            posix.join(area, folder, target.replace('*.ts', each)),
          );
    }
  }
  return entries;
}

/** The shortest path from `start` back to it; null where there is none. */
function shortestCircle(imports: Map<string, string[]>, start: string): string[] | null {
  const cameFrom = new Map<string, string>();
  const queue = [start];
  for (const path of queue) {
    for (const target of imports.get(path) ?? []) {
      if (target === start) {
        const circle = [path];
        while (circle[0] !== start) circle.unshift(cameFrom.get(circle[0] as string) as string);
        return circle;
      }
      if (cameFrom.has(target)) continue;
      cameFrom.set(target, path);
      queue.push(target);
    }
  }
  return null;
}

/** Files with more than `most` lines. */
export function longFiles(files: SourceFile[], most: number): string[] {
  return files.filter(({ lines }) => lines > most).map(({ path, lines }) => `${path}: ${lines} lines`);
}

/**
 * Short files that only one file imports, and that fit into it: `path (importer)`. A list, which imports `list` or more files that
 * nothing else imports, an index, and the entry of a package, a process or a thread may name short files.
 */
export function lonelyFiles(
  root: string,
  files: SourceFile[],
  { short = 150, most = 300, list = 5 }: { short?: number; most?: number; list?: number } = {},
): string[] {
  const product = files.filter(
    ({ path }) => /\.tsx?$/.test(path) && !testPath.test(path) && !/^(?:test|chaos)\//.test(path),
  );
  const importers = new Map<string, Set<string>>();
  for (const [path, targets] of importGraph(root, product))
    for (const target of targets) importers.set(target, (importers.get(target) ?? new Set()).add(path));
  const only = (path: string) => (importers.get(path)?.size === 1 ? [...importers.get(path)!][0] : undefined);
  const byPath = new Map(product.map((file) => [file.path, file]));
  const named = new Map<string, number>();
  for (const { path } of product) {
    const importer = only(path);
    if (importer) named.set(importer, (named.get(importer) ?? 0) + 1);
  }
  const entries = new Set(packageEntries(root).values());
  const entry = (path: string) => /(?:^|\/)(?:main|index)\.tsx?$/.test(path) || atRunTime.has(path);
  const atRunTime = new Set(
    files.flatMap(({ path, text }) =>
      [...text.matchAll(/(?:import\(|new URL\()\s*'(\.[^']+)'/g)].map(([, name]) =>
        posix.join(dirname(path), name!),
      ),
    ),
  );
  return product.flatMap(({ path, lines, text }) => {
    const importer = byPath.get(only(path) ?? '');
    if (!importer || lines >= short || entries.has(path) || atRunTime.has(path)) return [];
    if (entry(importer.path) || named.get(importer.path)! >= list) return [];
    const [own, other] = [dirname(path), dirname(importer.path)];
    const near = own === other || own.startsWith(`${other}/`) || other.startsWith(`${own}/`);
    const imports = importedBy(text).length;
    return near && lines + importer.lines - imports <= most ? [`${path} (${importer.path})`] : [];
  });
}

/** Median number of lines of the files that are not tests and not in test/ or a testing/ folder. */
export function medianLines(files: SourceFile[]): number {
  const lines = files
    .filter(({ path }) => !testPath.test(path) && !path.startsWith('test/'))
    .map((file) => file.lines)
    .sort((a, b) => a - b);
  const middle = lines.length >> 1;
  return lines.length % 2 === 1 ? lines[middle]! : (lines[middle - 1]! + lines[middle]!) / 2;
}
