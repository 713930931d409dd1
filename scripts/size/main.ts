/**
 * npm run size -- [--since COMMIT]: lines of each package by what they are, and words of docs/. With a commit, also how many lines of
 * product code were added and removed since, and the ten files that grew most.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { since: { type: 'string' } } });
const git = (...args: string[]): string[] =>
  execFileSync('git', args, { encoding: 'utf8', maxBuffer: 64e6 })
    .split('\n')
    .filter((line) => line !== '');

/** Kinds of source; the first that matches is a file's. */
const kinds = {
  generated: /generated.*\.(ts|tsx|mts)$/,
  tests: /(\.test\.tsx?|(^|\/)testing\/.*\.(ts|tsx|mts)|^(test|chaos)\/.*\.(ts|tsx|mts))$/,
  product: /\.(ts|tsx|mts)$/,
  'C++': /\.(cc|cpp|h)$/,
  SQL: /\.sql$/,
  Python: /\.py$/,
};
type Kind = keyof typeof kinds;
const names = Object.keys(kinds) as Kind[];
const kindOf = (path: string) => names.find((kind) => kinds[kind].test(path));

const tracked = git('ls-files').filter((path) => existsSync(path));
const read = (path: string) => readFileSync(path, 'utf8');
const sources = tracked.flatMap((path) => {
  const kind = kindOf(path);
  const folder = /^((apps|packages)\/[^/]+|[^/]+)\//.exec(path)?.[1] ?? '(root)';
  return kind ? [{ kind, folder, lines: read(path).split('\n').length - 1 }] : [];
});
const columns: Kind[] = ['product', 'tests', 'generated', 'C++', 'SQL', 'Python'];
const row = (name: string, cells: unknown[]) =>
  console.log(name.padEnd(22) + cells.map((cell) => `${cell}`.padStart(10)).join(''));
const linesOf = (among: typeof sources) =>
  columns.map((column) => among.reduce((sum, { kind, lines }) => sum + (kind === column ? lines : 0), 0));
row('lines', columns);
const rows = [...new Set(sources.map(({ folder }) => folder))].map((folder) => ({
  folder,
  lines: linesOf(sources.filter((source) => source.folder === folder)),
}));
for (const { folder, lines } of rows.sort((a, b) => b.lines[0]! - a.lines[0]!)) row(folder, lines);
row('all', linesOf(sources));
row(
  'files',
  columns.map((column) => sources.filter(({ kind }) => kind === column).length),
);

const docs = tracked.filter((path) => /^docs\/.*\.md$/.test(path));
const words = (paths: string[]) =>
  paths.reduce((sum, path) => sum + read(path).split(/\s+/).filter(Boolean).length, 0);
const [pages, decisions] = [false, true].map((wanted) =>
  words(docs.filter((path) => path.startsWith('docs/decisions/') === wanted)),
);
console.log(`\n${pages} words of docs, ${decisions} of decisions`);

if (values.since) {
  const changes = git('diff', '--numstat', '--no-renames', values.since)
    .map((line) => line.split('\t') as [string, string, string])
    .filter(([, , path]) => kindOf(path) === 'product')
    .map(([added, removed, path]) => ({ added: +added, removed: +removed, path }));
  const sum = (key: 'added' | 'removed') => changes.reduce((all, change) => all + change[key], 0);
  console.log(`\nproduct since ${values.since}: +${sum('added')} -${sum('removed')}`);
  const growth = ({ added, removed }: (typeof changes)[number]) => added - removed;
  for (const change of changes.sort((a, b) => growth(b) - growth(a)).slice(0, 10))
    console.log(`${String(growth(change)).padStart(6)}  ${change.path}`);
}
