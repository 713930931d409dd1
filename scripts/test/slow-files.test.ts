import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { readUsage, slowFiles, usageEnvironment } from './slow-files.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'graft usage-'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('a test file records the CPU time and waits of itself and its children; its children record nothing', () => {
  const output = path.join(folder, 'usage.jsonl');
  const file = path.join(folder, 'one.mjs');
  const busy = 'while (process.cpuUsage().user < 300_000);';
  writeFileSync(
    file,
    `import { spawnSync } from 'node:child_process';
    ${busy}
    performance.measure('waiting for Python', { start: 0, end: 2000 });
    performance.measure('waiting for Python', { start: 0, end: 500 });
    performance.measure('CPU of Python', { start: 0, end: 70_000 });
    performance.measure('another measure', { start: 0, end: 500 });
    spawnSync(process.execPath, ['-e', ${JSON.stringify(busy)}]);
    process.stdout.write(String(process.env.NODE_OPTIONS));`,
  );
  const options = '--no-warnings';
  const env = { ...process.env, ...usageEnvironment(output, options) };
  const ran = spawnSync(process.execPath, [file], { env, encoding: 'utf8' });
  assert.equal(ran.stdout, options, ran.stderr);
  const usage = readUsage(output, ['one.test.ts', 'other.test.ts'], (name) =>
    name === 'one.test.ts' ? file : name,
  );
  assert.deepEqual([...usage.keys()], ['one.test.ts']);
  const { cpuSeconds, waits } = usage.get('one.test.ts')!;
  assert.deepEqual(waits, { Python: 2.5 });
  assert.ok(cpuSeconds > (process.platform === 'linux' ? 70.5 : 70.25), `${cpuSeconds} s`);
});

test('the slowest files come first, with the sum of all', () => {
  const seconds = new Map([
    ['/repository/a.test.ts', 3.2],
    ['/repository/b.test.ts', 40],
    ['/repository/c.test.ts', 5],
  ]);
  const usage = new Map([
    [
      '/repository/b.test.ts',
      { file: '/repository/b.test.ts', cpuSeconds: 61, waits: { models: 1, Python: 12.34 } },
    ],
  ]);
  assert.deepEqual(slowFiles('/repository', seconds, usage, 2).split('\n').slice(1), [
    '    40     61  b.test.ts (Python 12.3 s, models 1.0 s)',
    '     5      ?  c.test.ts',
    '    48     61  all 3 files',
  ]);
});
