import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { earlierSeconds, keepSeconds, lanesOf } from './lanes.ts';

test('what computes and what waits run beside each other, the longest first', () => {
  const files = ['apps/a.test.ts', 'apps/b.test.ts', 'packages/peft-core/c.test.ts', 'test/golden/d.test.ts'];
  const paths = files.map((file) => join('/repository', file));
  const earlier = { 'apps/a.test.ts': 3, 'packages/peft-core/c.test.ts': 70 };
  const [a, b, c, d] = paths;
  assert.deepEqual(lanesOf('/repository', paths, earlier), [
    [c, d],
    [b, a],
  ]);
});

test('what files took is kept for later runs, beside that of files which do not run now', (t) => {
  const cache = mkdtempSync(join(tmpdir(), 'graft-seconds-'));
  const before = process.env.GRAFT_CACHE_DIR;
  process.env.GRAFT_CACHE_DIR = join(cache, 'graft');
  t.after(() => {
    if (before === undefined) delete process.env.GRAFT_CACHE_DIR;
    else process.env.GRAFT_CACHE_DIR = before;
    rmSync(cache, { recursive: true, force: true });
  });
  assert.deepEqual(earlierSeconds(), {});
  keepSeconds('/repository', new Map([['/repository/a.test.ts', 1.23]]));
  keepSeconds('/repository', new Map([['/repository/b.test.ts', 4]]));
  assert.deepEqual(earlierSeconds(), { 'a.test.ts': 1.2, 'b.test.ts': 4 });
});
