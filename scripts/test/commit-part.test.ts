import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { findSources } from '../compile/sources.mjs';
import { commitPart, filesOfHalf } from './commit-part.ts';
import { usualSeconds } from './lanes.ts';

const root = path.join(import.meta.dirname, '..', '..');
const files = findSources(root)
  .filter((file) => file.endsWith('.test.ts'))
  .map((file) => path.relative(root, file));

function newFolder(t: { after(remove: () => void): void }): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'graft-part-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test('the runs of both halves have every test file, and each takes half as long for the long ones', () => {
  const secondsOf = usualSeconds(root);
  const runs = [0, 1].map((half) => [...filesOfHalf(files, half, secondsOf)]);
  assert.deepEqual([...new Set(runs.flat())].sort(), files.toSorted());
  const always = runs[0]!.filter((file) => runs[1]!.includes(file));
  for (const file of ['packages/service/src/keys/api-keys.test.ts', 'test/repository/import-arrows.test.ts'])
    assert.ok(!files.includes(file) || always.includes(file), file);
  const [first, second] = runs.map((run) =>
    run.filter((file) => !always.includes(file)).reduce((sum, file) => sum + secondsOf(file), 0),
  ) as [number, number];
  assert.ok(Math.min(first, second) > 0.45 * (first + second), `${first} s and ${second} s`);
  for (const folder of ['apps/api', 'apps/worker', 'apps/cli', 'test/browser', 'test/golden', 'test/service'])
    for (const run of runs)
      assert.ok(
        run.some((file) => file.startsWith(`${folder}/`)),
        folder,
      );
});

test('a few commits have every part, in every combination of matrix and files', (t) => {
  const folder = newFolder(t);
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@example.com', ...args], { cwd: folder });
  git('init', '--quiet');
  const met = new Set<string>();
  for (let i = 0; i < 200 && met.size < 16; i++) {
    git('commit', '--quiet', '--allow-empty', '--no-gpg-sign', '--message', `change ${i}`);
    const part = commitPart(folder, 'matrix', 8);
    assert.equal(commitPart(folder, 'matrix', 8), part);
    met.add(`${part} ${commitPart(folder, 'files', 2)}`);
  }
  assert.equal(met.size, 16);
});

test('without Git the part is the first', (t) => {
  const folder = newFolder(t);
  mkdirSync(path.join(folder, '.git'));
  writeFileSync(path.join(folder, '.git', 'HEAD'), 'broken');
  assert.equal(commitPart(folder, 'files', 2), 0);
});
