import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { earlierSeconds, keepSeconds, lanesOf } from './lanes.ts';

test('files that compute have a lane, files that wait have two, each with the longest first', () => {
  const files = [
    'apps/a.test.ts',
    'apps/b.test.ts',
    'test/service/c.test.ts',
    'packages/peft-core/d.test.ts',
    'test/golden/e.test.ts',
  ];
  const earlier = { 'apps/a.test.ts': 3, 'packages/peft-core/d.test.ts': 70 };
  const inRoot = (...paths: string[]) => paths.map((path) => join('/repository', path));
  assert.deepEqual(lanesOf('/repository', inRoot(...files), earlier), [
    inRoot('packages/peft-core/d.test.ts', 'test/golden/e.test.ts'),
    inRoot('test/service/c.test.ts', 'apps/a.test.ts'),
    inRoot('apps/b.test.ts'),
  ]);
});

test('the seconds of files are kept for later runs, also those of files that do not run now', (t) => {
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
