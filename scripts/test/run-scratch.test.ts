import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { createRunScratch } from './run-scratch.ts';
import { closingLines } from './tally.ts';

const root = path.resolve(import.meta.dirname, '../..');
const tsx = ['--import', 'tsx'];

/** Calls `saveTable` in its own process, at the same moment as others. */
const saver = `
import { saveTable } from ${JSON.stringify(path.join(root, 'test/golden/matrix/table.ts'))};
process.stdout.write('ready');
process.stdin.once('data', () => {
  saveTable(process.argv[2]);
  process.exit(0);
});
`;

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'graft-runner-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test('tables of test files that end at the same moment are all kept', async (t) => {
  const folder = temporaryFolder(t);
  const script = path.join(folder, 'saver.mts');
  writeFileSync(script, saver);
  const scratch = await createRunScratch();
  t.after(() => scratch.remove());
  assert.equal(scratch.tables(), '');
  const rows = 2000;
  const names = ['first', 'second', 'third', 'fourth'];
  const children = names.map((name) =>
    spawn(process.execPath, [...tsx, script, `${name} table\n${'row\n'.repeat(rows)}`], {
      cwd: root,
      env: { ...process.env, ...scratch.env },
      stdio: ['pipe', 'pipe', 'inherit'],
    }),
  );
  const ended = children.map((child) => once(child, 'exit'));
  await Promise.all(children.map((child) => once(child.stdout, 'data')));
  for (const child of children) child.stdin.write('now');
  await Promise.all(ended);
  const lines = scratch.tables().split('\n');
  assert.deepEqual(
    lines.filter((line) => line.endsWith(' table')).sort(),
    names.map((name) => `${name} table`).sort(),
  );
  assert.equal(lines.filter((line) => line === 'row').length, names.length * rows);
});

test('npm test ends with the tables and, below them, what it covered and the count', () => {
  const tally = { passed: 3, failed: 1, skipped: 2 };
  const covered = ['part 1 of 8 of the golden matrix', 'half 2 of 2 of the long test files'];
  const lines = closingLines({ tally, tables: '      llama\nlora  ✔ 1/1', covered, milliseconds: 90_000 });
  assert.equal(
    lines,
    '\nin 1.5 minutes\n\n      llama\nlora  ✔ 1/1\n\ncovered: part 1 of 8 of the golden matrix; half 2 of 2 of the long test files\n3 passed, 1 failed, 2 skipped',
  );
  const passed = { passed: 3, failed: 0, skipped: 0 };
  const plain = closingLines({ tally: passed, tables: '', covered: [], milliseconds: 0 });
  assert.equal(plain, '\nin 0.0 minutes\n3 passed, 0 failed');
});
