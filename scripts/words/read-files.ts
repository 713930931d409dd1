import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FoundWord, findWords } from './find-words.ts';

const read = /\.(?:[cm]?ts|tsx|[cm]?js|md|py|cc|h|css|sh|ya?ml|prisma)$/;
/** Made by scripts, data, and the list itself with its tests. */
const skipped = /(?:^|\/)(?:generated|testdata)\/|^scripts\/words\//;

/** The words to avoid in the tracked files below `paths`, all of them by default. */
export function wordsInFiles(root: string, paths: readonly string[] = []): FoundWord[] {
  const listed = execFileSync('git', ['ls-files', '--', ...paths], { cwd: root, encoding: 'utf8' });
  const files = listed.split('\n').filter((path) => read.test(path) && !skipped.test(path));
  return files
    .filter((path) => existsSync(join(root, path)))
    .flatMap((path) => findWords(path, readFileSync(join(root, path), 'utf8')));
}
