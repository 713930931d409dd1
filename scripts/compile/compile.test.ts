import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { compiledFile, ensureCompiled } from './compile.mjs';

const repository = path.resolve(import.meta.dirname, '../..');
/** In words it would be replaced in this file, too. */
const meta = ['import', 'meta'].join('.');
let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'graft compiled-'));
  mkdirSync(path.join(root, 'scripts'));
  cpSync(path.join(repository, 'scripts/compile'), path.join(root, 'scripts/compile'), {
    recursive: true,
    filter: (file) => !file.endsWith('.ts'),
  });
  symlinkSync(path.join(repository, 'node_modules'), path.join(root, 'node_modules'));
  write('package.json', '{"type":"module"}');
  write('package-lock.json', '{}');
  write(
    'packages/own/package.json',
    '{"name":"@graft/own","exports":{".":"./src/index.ts","./deep":"./src/deep/index.ts"}}',
  );
  write('packages/own/src/index.ts', "export const names: string[] = ['own'];");
  write('packages/own/src/deep/index.ts', "import { names } from '../index.ts'; export { names };");
  write('apps/one/package.json', '{"name":"@graft/one"}');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(name: string, text: string): void {
  mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
  writeFileSync(path.join(root, name), text);
}

function run(file: string, ...args: string[]): string {
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    [path.join(root, 'scripts/compile/run.mjs'), file, ...args],
    { encoding: 'utf8', env: { PATH: process.env.PATH } },
  );
  assert.equal(status, 0, stderr);
  return stdout;
}

test('a module is one in its process, by whatever name it is imported', () => {
  write(
    'apps/one/src/main.ts',
    `import { names } from '@graft/own';
    import { names as deep } from '@graft/own/deep';
    const { names: late } = await import('../../../packages/own/src/index.ts');
    console.log(names === deep && names === late, process.argv.slice(2).join());`,
  );
  assert.equal(run('apps/one/src/main.ts', 'a', 'b'), 'true a,b\n');
});

test('what lies beside a source is found there; what it starts is compiled', () => {
  write('apps/one/src/data.txt', 'beside');
  write('apps/one/src/plain.mjs', `export const plain = ${meta}.url;`);
  write('apps/one/src/child.ts', "process.send!({ flags: process.execArgv, child: 'child' as string });");
  write(
    'apps/one/src/main.ts',
    `import { fork } from 'node:child_process';
    import { readFileSync } from 'node:fs';
    import { plain } from './plain.mjs';
    console.log(readFileSync(new URL('./data.txt', ${meta}.url), 'utf8'), readFileSync(${meta}.dirname + '/data.txt', 'utf8'));
    console.log(plain.endsWith('/apps/one/src/plain.mjs') && !plain.includes('/compiled/'), process.argv[1] === ${meta}.filename);
    const entry = new URL('child.ts', ${meta}.url);
    fork(entry).on('message', (message) => console.log(entry.pathname.endsWith('.js'), JSON.stringify(message)));`,
  );
  assert.deepEqual(run('apps/one/src/main.ts').trim().split('\n'), [
    'beside beside',
    'true true',
    'true {"flags":["--enable-source-maps"],"child":"child"}',
  ]);
});

test('errors name the line of the source', () => {
  write(
    'apps/one/src/main.ts',
    'interface A { a: string }\n\nconst a: A = { a: `x` };\nconsole.log(new Error(a.a).stack);',
  );
  assert.match(run('apps/one/src/main.ts'), /apps\/one\/src\/main\.ts:4:\d+/);
});

test('packages of many files are gathered, one instance each', () => {
  write(
    'apps/one/src/main.ts',
    `import Type from 'typebox';
    import Value from 'typebox/value';
    console.log(Value.Check(Type.Object({ a: Type.Integer() }), { a: 1 }), Value.Check(Type.Integer(), 'x'));`,
  );
  assert.equal(run('apps/one/src/main.ts'), 'true false\n');
});

test('a change of a source makes another folder; an existing one is reused, and the oldest are deleted', async () => {
  const folders: string[] = [];
  for (let i = 0; i < 8; i++) {
    write('apps/one/src/main.ts', `console.log(${'1'.repeat(i + 1)});`);
    let compiled = 0;
    for (let again = 0; again < 2; again++) folders.push(await ensureCompiled(root, () => compiled++));
    assert.equal(compiled, 1);
  }
  assert.equal(new Set(folders).size, 8);
  assert.ok(existsSync(compiledFile(folders.at(-1)!, root, 'apps/one/src/main.ts')));
  assert.equal(readdirSync(path.join(root, 'compiled')).length, 6);
});

test('several processes that compile at once all get the whole', async () => {
  write('apps/one/src/main.ts', 'export const one = 1;');
  const folders = await Promise.all(Array.from({ length: 3 }, () => ensureCompiled(root)));
  assert.equal(new Set(folders).size, 1);
  assert.deepEqual(readdirSync(path.join(root, 'compiled')), [path.basename(folders[0]!)]);
});

test('a syntax error in a source is reported, and no partial folder is left', async () => {
  write('apps/one/src/main.ts', 'const = 1;');
  await assert.rejects(ensureCompiled(root), /main\.ts:1:6/);
  assert.deepEqual(readdirSync(path.join(root, 'compiled')), []);
});
