import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
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
    method: 'supervised',
    examples: 1,
    unread_columns: [],
  });
  const unknown = await graft('check', 'faq.csv');
  assert.notEqual(unknown.code, 0);
  assert.match(unknown.stderr, /the table has the columns "frage", "antwort"/);
});

test('columns that are not read are listed, with the number of their values', async () => {
  const rows = ['{"question":"a","answer":"b","id":1}', '{"question":"c","answer":"d","id":2,"note":"e"}'];
  await writeFile(join(folder, 'notes.jsonl'), rows.join('\n'));
  const checked = await runGraft(['check', 'notes.jsonl'], { cwd: folder });
  assert.equal(checked.code, 0, checked.stderr);
  assert.match(checked.stdout, /^not read +"id" \(2 values\)\n +"note" \(1 value\)$/m);
});

test('pairs are counted, with the method that learns from them', async () => {
  const graft = (...args: string[]) => runGraft(args, { cwd: folder });
  const pair = (prompt: string, rejected: string) => JSON.stringify({ prompt, chosen: ' A 32.', rejected });
  await writeFile(join(folder, 'pairs.jsonl'), [pair('a', ' Any.'), pair('b', ' None.')].join('\n'));
  const checked = await graft('check', 'pairs.jsonl');
  assert.equal(checked.code, 0, checked.stderr);
  assert.match(checked.stdout, /^format +preference$/m);
  assert.match(checked.stdout, /^method +dpo$/m);
  assert.match(checked.stdout, /^examples +2 preference pairs$/m);
  await writeFile(join(folder, 'same.jsonl'), [pair('a', ' Any.'), pair('b', ' A 32.')].join('\n'));
  assert.match((await graft('check', 'same.jsonl')).stderr, /line 2 "chosen" and "rejected" are the same/);
});

test('a corrected file has the valid lines as they were, and replaces no file', async () => {
  const graft = (...args: string[]) => runGraft(args, { cwd: folder });
  const lines = ['{"text":"one"}', 'nope', '{"text": "two" }\r', '', '{"text":1}', '{"text":"three"}'];
  await writeFile(join(folder, 'some.jsonl'), lines.join('\n'));
  const failed = await graft('check', 'some.jsonl');
  assert.match(failed.stderr, /line 2 is not valid JSON/);
  const corrected = await graft('check', 'some.jsonl', '--corrected', 'good.jsonl', '--json');
  assert.equal(corrected.code, 0, corrected.stderr);
  assert.equal(JSON.parse(corrected.stdout).examples, 3);
  assert.match(corrected.stderr, /without 2 invalid ones. line 2 is not valid JSON.*line 5/);
  const good = [0, 2, 3, 5].map((i) => lines[i]);
  assert.equal(await readFile(join(folder, 'good.jsonl'), 'utf8'), good.join('\n'));
  const again = await graft('check', 'some.jsonl', '--corrected', 'good.jsonl');
  assert.match(again.stderr, /good.jsonl/);
  assert.notEqual(again.code, 0);
  const table = await graft(
    'check',
    'faq.csv',
    '--columns',
    'prompt=frage,completion=antwort',
    '--corrected',
    'x',
  );
  assert.match(table.stderr, /--corrected writes JSON lines, and faq.csv is another kind/);
});
