/** npm run words -- [PATH …]: lists words to avoid in files and folders (all of them by default), with what to write instead. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { findWords } from './find-words.ts';

const listed = execFileSync('git', ['ls-files', '--', ...process.argv.slice(2)], { encoding: 'utf8' });
const files = listed.split('\n').filter((path) => isRead(path) && existsSync(path));
let count = 0;
for (const path of files)
  for (const { line, word, instead } of findWords(path, readFileSync(path, 'utf8'))) {
    console.log(`${path}:${line}: "${word.replaceAll(/\s+/g, ' ')}" → ${instead}`);
    count++;
  }
console.log(`${count} words in ${files.length} files`);

function isRead(path: string): boolean {
  return (
    /\.(?:tsx?|mts|mjs|cjs|js|md|py|cc|h|css|sh|ya?ml|prisma)$/.test(path) &&
    !/generated\/|testdata\/|package-lock/.test(path)
  );
}
