import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { earlierSeconds, keepSeconds, lanesOf, recordUsualSeconds, usualSeconds } from './lanes.ts';

test('files that compute have a lane, files that wait have two, each with the longest first', () => {
  const files = [
    'apps/a.test.ts',
    'apps/b.test.ts',
    'test/service/c.test.ts',
    'packages/peft-core/d.test.ts',
    'test/golden/e.test.ts',
  ];
  const seconds: Record<string, number> = {
    'apps/a.test.ts': 3,
    'packages/peft-core/d.test.ts': 70,
    'test/service/c.test.ts': 9,
  };
  const paths = files.map((path) => join('/repository', path));
  const [a, b, c, d, e] = paths;
  assert.deepEqual(
    lanesOf('/repository', paths, (path) => seconds[path] ?? 2),
    [[d, e], [c, b], [a]],
  );
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

test('the seconds of long files are recorded for other machines', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'graft-seconds-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  mkdirSync(join(root, 'scripts/test'), { recursive: true });
  writeFileSync(join(root, 'scripts/test/usual-seconds.json'), '{"apps/before.test.ts": 12}');
  const seconds = { 'apps/long.test.ts': 33.4, 'apps/short.test.ts': 9 };
  recordUsualSeconds(root, new Map(Object.entries(seconds).map(([path, each]) => [join(root, path), each])));
  const secondsOf = usualSeconds(root);
  assert.deepEqual(
    ['apps/before', 'apps/long', 'apps/short', 'test/new'].map((name) => secondsOf(`${name}.test.ts`)),
    [12, 33, 2, 10],
  );
});
