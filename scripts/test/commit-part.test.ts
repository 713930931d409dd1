import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { findSources } from '../compile/sources.mjs';
import { filesOfHalf, halfOfCommit } from './half-of-commit.ts';

const root = path.join(import.meta.dirname, '..', '..');
const files = findSources(root)
  .filter((file) => file.endsWith('.test.ts'))
  .map((file) => path.relative(root, file));

test('two runs of other halves try every test file, each about half of those that take long', () => {
  const runs = ([0, 1] as const).map((half) => [...filesOfHalf(files, half)]);
  assert.deepEqual([...new Set(runs.flat())].sort(), files.toSorted());
  const always = runs[0]!.filter((file) => runs[1]!.includes(file));
  for (const file of ['packages/service/src/keys/api-keys.test.ts', 'test/repository/arrows.test.ts'])
    assert.ok(!files.includes(file) || always.includes(file), file);
  const [first, second] = runs.map((run) => run.length - always.length) as [number, number];
  assert.ok(Math.min(first, second) > 0.45 * (first + second), `${first} and ${second}`);
  for (const folder of ['apps/api', 'apps/worker', 'apps/cli', 'test/browser', 'test/service'])
    for (const run of runs)
      assert.ok(
        run.some((file) => file.startsWith(`${folder}/`)),
        folder,
      );
});

test('a half is of the commit, and one without Git has a half, too', (t) => {
  assert.equal(halfOfCommit(root), halfOfCommit(root));
  const folder = mkdtempSync(path.join(tmpdir(), 'graft-half-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(path.join(folder, '.git'));
  writeFileSync(path.join(folder, '.git', 'HEAD'), 'broken');
  assert.equal(halfOfCommit(folder), 0);
});
