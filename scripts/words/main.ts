/** npm run words -- [PATH …]: lists the words to avoid in files and folders, all by default, with what to write instead. */
import { wordsInFiles } from './read-files.ts';

const found = wordsInFiles(process.cwd(), process.argv.slice(2));
for (const { path, line, word, instead } of found) console.log(`${path}:${line}: "${word}" → ${instead}`);
console.log(`${found.length} words`);
