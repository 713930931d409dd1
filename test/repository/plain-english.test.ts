/** The words that docs/decisions/0047-plain-english.md avoids: `npm run words` lists their locations. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { FoundWord } from '../../scripts/words/find-words.ts';
import { wordsInFiles } from '../../scripts/words/read-files.ts';

const root = join(import.meta.dirname, '..', '..');

/** Texts that users or other projects wrote, by file: example data and quotations. */
const quoted: Record<string, readonly string[]> = {
  'bench/serving/chats.ts': ['came to'],
  'bench/serving/long-prompts.ts': ['goes on'],
  'docs/decisions/0047-plain-english.md': ['told', 'went on', 'came to'],
  // The name of a configuration in test/golden/matrix, and the name of a measurement in docs/reliability.json.
  'docs/methods.md': ['of its own'],
  'docs/reliability.md': ['go on'],
  'scripts/schema-engine/schema-engine.test.ts': ['tell', 'asked for'],
  'scripts/sweep/rows/orders.ts': ['asked for'],
};

/** Number of remaining uses by folder, which may only decrease; zero for folders that are not listed. */
const remaining: Record<string, number> = {
  'apps/api': 288,
  'apps/cli': 103,
  'apps/worker': 127,
  'packages/peft-core': 231,
  'packages/service': 237,
  test: 41,
};

test('prose and names avoid words that only Graft would use so', () => {
  const counts = new Map<string, FoundWord[]>();
  for (const found of wordsInFiles(root)) {
    if (quoted[found.path]?.includes(found.word.toLowerCase())) continue;
    const area = areaOf(found.path);
    counts.set(area, [...(counts.get(area) ?? []), found]);
  }
  const areas = new Set([...counts.keys(), ...Object.keys(remaining)]);
  const faults = [...areas].flatMap((area) => {
    const found = counts.get(area) ?? [];
    const allowed = remaining[area] ?? 0;
    if (found.length < allowed)
      return [`${area} has ${found.length} left: lower the number ${allowed} in this test`];
    if (found.length === allowed) return [];
    const lines = found
      .slice(0, 20)
      .map(({ path, line, word, instead }) => `  ${path}:${line}: "${word}" → ${instead}`);
    return [`${area}: ${found.length} uses, ${allowed} allowed\n${lines.join('\n')}`];
  });
  assert.deepEqual(faults, [], faults.join('\n'));
});

/** `apps/web`, `docs`, `scripts`: an app or a package, otherwise the top-level folder or file. */
function areaOf(path: string): string {
  const [top, name] = path.split('/') as [string, string?];
  return (top === 'apps' || top === 'packages') && name ? `${top}/${name}` : top;
}
