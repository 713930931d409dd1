import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { opensBrowser, opensServices, referenceLibrariesOf } from './test-support.ts';

const root = mkdtempSync(join(tmpdir(), 'graft-support-'));
after(() => rmSync(root, { recursive: true, force: true }));
function write(path: string, text: string): string {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

test('a test opens services by itself or by its support, not by the product', () => {
  write('src/env.ts', 'export const url = process.env.DATABASE_URL;');
  write('src/testing/bench.ts', "import { openTestServices } from '@graft/service/testing';\nexport {};");
  write('src/testing/index.ts', "export { bench } from './bench.ts';\nexport * from './index.ts';");
  const opens = (text: string) => opensServices(write('src/one.test.ts', text));
  assert.equal(opens("import { bench } from './testing/index.ts';"), true);
  assert.equal(opens("import { createTestDatabase } from '@graft/service/testing';"), true);
  assert.equal(opens("import { url } from './env.ts';"), false);
  assert.equal(opens("import { none } from './testing/none.ts';"), false);
});

test('a test opens a browser by its bench', () => {
  const opens = (text: string) => opensBrowser(write('src/page.test.ts', text));
  assert.equal(opens('const bench = await openBrowserBench();'), true);
  assert.equal(opens('const visits = await openVisits(url);'), true);
  assert.equal(opens('const bench = await openApiBench();'), false);
});

test('a test names the Python libraries that it compares with', () => {
  write('test/side.ts', "export const side = () => runPythonJson('a.py', [], {}, { library: 'adapters' });");
  const of = (text: string) => referenceLibrariesOf(write('test/one.test.ts', text));
  assert.deepEqual(of("import { side } from './side.ts';"), ['peft', 'adapters']);
  assert.deepEqual(of("await runPython('a.py', []);"), ['peft']);
  assert.deepEqual(of("await pythonEnvironment(undefined, 'moto');"), ['moto']);
  assert.deepEqual(of("await pythonEnvironment(undefined, 'tracking');"), ['tracking']);
  assert.deepEqual(of("test('adapters', () => {});"), []);
});
