import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { runGraft, temporaryFolder } from '../testing/run-graft.ts';

let folder = '';
before(async (t) => {
  folder = temporaryFolder(t as never);
  await writeFile(join(folder, 'faq.csv'), 'frage,antwort\nWhich tyre?,A 32.\n');
});

test('a file is checked with and without a mapping of its columns', async () => {
  const graft = (...args: string[]) => runGraft(args, { cwd: folder });
  const mapped = await graft('check', 'faq.csv', '--columns', 'prompt=frage,completion=antwort', '--json');
  assert.equal(mapped.code, 0, mapped.stderr);
  assert.deepEqual(JSON.parse(mapped.stdout), {
    path: 'faq.csv',
    kind: 'csv',
    compression: null,
    shape: null,
    columns: { prompt: 'frage', completion: 'antwort' },
    format: 'prompt_completion',
    examples: 1,
  });
  const unknown = await graft('check', 'faq.csv');
  assert.notEqual(unknown.code, 0);
  assert.match(unknown.stderr, /the table has the columns "frage", "antwort"/);
});
