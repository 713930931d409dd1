import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { findSources } from '../compile/sources.mjs';
import { commitPart, filePartCount, filesOfPart } from './commit-part.ts';
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

test('the runs of all parts have every test file, and take about equally long', () => {
  const secondsOf = usualSeconds(root);
  const runs = Array.from({ length: filePartCount }, (_, part) => [...filesOfPart(files, part, secondsOf)]);
  assert.deepEqual([...new Set(runs.flat())].sort(), files.toSorted());
  const always = runs[0]!.filter((file) => runs.every((run) => run.includes(file)));
  assert.ok(always.length > 10 && always.every((file) => /^test\/(repository|golden)\//.test(file)));
  const seconds = runs.map((run) =>
    run.filter((file) => !always.includes(file)).reduce((sum, file) => sum + secondsOf(file), 0),
  );
  assert.ok(Math.min(...seconds) > 0.8 * Math.max(...seconds), `${seconds.join(', ')} s`);
  for (const folder of [
    'apps/api',
    'apps/worker',
    'apps/cli',
    'packages/service',
    'packages/peft-core',
    'test/golden',
  ])
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
  for (let i = 0; i < 2000 && met.size < 64; i++) {
    git('commit', '--quiet', '--allow-empty', '--no-gpg-sign', '--message', `change ${i}`);
    const part = commitPart(folder, 'matrix', 8);
    assert.equal(commitPart(folder, 'matrix', 8), part);
    met.add(`${part} ${commitPart(folder, 'files', filePartCount)}`);
  }
  assert.equal(met.size, 64);
});

test('without Git the part is the first', (t) => {
  const folder = newFolder(t);
  mkdirSync(path.join(folder, '.git'));
  writeFileSync(path.join(folder, '.git', 'HEAD'), 'broken');
  assert.equal(commitPart(folder, 'files', filePartCount), 0);
});
