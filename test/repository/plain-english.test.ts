/** The words that docs/decisions/0047-plain-english.md avoids: `npm run words` lists their locations. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { wordsInFiles } from '../../scripts/words/read-files.ts';
import { sourceFiles } from './source-tree.ts';

const root = join(import.meta.dirname, '..', '..');
const ownPath = 'test/repository/plain-english.test.ts';

/** Texts that users or other projects wrote, by file: example data and quotations. */
const quoted: Record<string, readonly string[]> = {
  'bench/serving/chats.ts': ['came to'],
  'bench/serving/long-prompts.ts': ['goes on'],
  'docs/decisions/0047-plain-english.md': ['told', 'went on', 'came to'],
  // The name of a configuration in test/golden/matrix, and the name of a measurement in chaos/reliability.json.
  'docs/methods.md': ['of its own'],
  'chaos/reliability.md': ['go on'],
  'scripts/schema-engine/schema-engine.test.ts': ['tell', 'asked for'],
  'scripts/sweep/rows/orders.ts': ['asked for'],
};

test('prose and names avoid the words of the list', () => {
  const faults = wordsInFiles(root)
    .filter(({ path, word }) => path !== ownPath && !quoted[path]?.includes(word.toLowerCase()))
    .map(({ path, line, word, instead }) => `${path}:${line}: "${word}" → ${instead}`);
  assert.deepEqual(faults, [], faults.join('\n'));
});

test('a comment begins with a noun phrase or a verb', () => {
  const opener = /^\s*(?:\/\*\*? ?|\/\/ ?)(?:\n\s*\* )?(?:Whether|What|Of|Absent)\b/;
  const faults = sourceFiles(root)
    .filter(({ path }) => /\.(?:tsx?|mjs)$/.test(path))
    .flatMap(({ path, text }) => {
      const lines = text.split('\n');
      return lines.flatMap((line, i) => {
        const continues = /^\s*\/\//.test(line) && /^\s*\/\//.test(lines[i - 1] ?? '');
        return !continues && opener.test(`${line}\n${lines[i + 1] ?? ''}`)
          ? [`${path}:${i + 1}: ${line.trim()}`]
          : [];
      });
    });
  assert.deepEqual(faults, [], 'docs/decisions/0047-plain-english.md: begin with what the comment describes');
});
