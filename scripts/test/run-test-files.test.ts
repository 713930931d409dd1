import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { runTestFiles } from './run-test-files.ts';

// This runs tests within a test: node:test marks its processes by this variable.
delete process.env.NODE_TEST_CONTEXT;
const folder = await mkdtemp(join(tmpdir(), 'graft-runner-'));
after(() => rm(folder, { recursive: true, force: true }));

/** The failures are intended; the log of the surrounding run does not show them. */
async function resultOf(files: Record<string, string>) {
  const printed: string[] = [];
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  const tally = { passed: 0, failed: 0, skipped: 0 };
  const names = Object.keys(files).filter((name) => name.endsWith('.test.mjs'));
  await runTestFiles({
    root: folder,
    lanes: [names.map((name) => join(folder, name)), []],
    tally,
    print: (text) => void printed.push(text),
  });
  return { tally, printed: printed.join('\n') };
}

test('files that share the module of their tests are counted separately', async () => {
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

test('every lane takes its own files in their order, and then those of the others', async () => {
  const order = join(folder, 'order');
  await writeFile(order, '');
  const paths: Record<string, string> = {};
  for (const name of ['a', 'b', 'c', 'long']) {
    paths[name] = join(folder, `${name}.test.mjs`);
    const text = `import { appendFileSync, readFileSync } from 'node:fs';
      import { test } from 'node:test';
      test('one', async () => {
        appendFileSync(${JSON.stringify(order)}, '${name} ');
        while ('${name}' === 'long' && !readFileSync(${JSON.stringify(order)}, 'utf8').includes('c '))
          await new Promise((resolve) => setTimeout(resolve, 50));
      });`;
    await writeFile(paths[name], text);
  }
  const { a, b, c, long } = paths as Record<'a' | 'b' | 'c' | 'long', string>;
  const tally = { passed: 0, failed: 0, skipped: 0 };
  const seconds = await runTestFiles({ root: folder, lanes: [[a, b, c], [long]], tally, print() {} });
  assert.deepEqual(tally, { passed: 4, failed: 0, skipped: 0 });
  assert.deepEqual([...seconds.keys()].sort(), [a, b, c, long]);
  assert.equal((await readFile(order, 'utf8')).replace('long ', ''), 'a b c ');
  const shared = await runTestFiles({ root: folder, lanes: [[], [a, b]], tally, print() {} });
  assert.deepEqual([...shared.keys()].sort(), [a, b]);
});

test('a file without tests, or that ends with an error, is a failure', async () => {
  const { tally } = await resultOf({
    'none.test.mjs': 'export {};',
    'broken.test.mjs': "throw new Error('broken');",
  });
  assert.deepEqual(tally, { passed: 0, failed: 2, skipped: 0 });
});
