import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { runTestFiles } from './run-test-files.ts';

// A run within a test: node:test marks the processes of its own files by this.
delete process.env.NODE_TEST_CONTEXT;
const folder = await mkdtemp(join(tmpdir(), 'graft-runner-'));
after(() => rm(folder, { recursive: true, force: true }));

/** The failures are meant, and kept out of the log of the run that this test is part of. */
async function resultOf(files: Record<string, string>) {
  const printed: string[] = [];
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  const tally = { passed: 0, failed: 0, skipped: 0 };
  const names = Object.keys(files).filter((name) => name.endsWith('.test.mjs'));
  await runTestFiles(
    folder,
    names.map((name) => join(folder, name)),
    2,
    tally,
    (text) => printed.push(text),
  );
  return { tally, printed: printed.join('\n') };
}

test('files whose tests stand in a module of both are counted each', async () => {
  const common =
    "import { test } from 'node:test'; export const both = (n) => { test('one', () => {}); if (n) test('two', () => { throw new Error('no'); }); };";
  const of = (n: number) => `import { both } from './common.mjs'; both(${n});`;
  const { tally, printed } = await resultOf({
    'common.mjs': common,
    'a.test.mjs': of(0),
    'b.test.mjs': of(1),
  });
  assert.deepEqual(tally, { passed: 2, failed: 1, skipped: 0 });
  assert.match(printed, /b\.test\.mjs: two\n/);
  assert.match(printed, /✔ \[\d\/2\] a\.test\.mjs: 1 passed, 0 failed/);
});

test('a file without tests, or that ends with an error, is a failure', async () => {
  const { tally } = await resultOf({
    'none.test.mjs': 'export {};',
    'broken.test.mjs': "throw new Error('broken');",
  });
  assert.deepEqual(tally, { passed: 0, failed: 2, skipped: 0 });
});
