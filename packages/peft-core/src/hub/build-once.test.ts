import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { buildOnce } from './build-once.ts';

const root = mkdtempSync(path.join(tmpdir(), 'graft-once-'));
after(() => rmSync(root, { recursive: true, force: true }));

test('several processes build once; every one finds the whole folder', async () => {
  const target = path.join(root, 'many');
  const builder = new URL('testing/build-slowly.ts', import.meta.url);
  const results = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const child = fork(builder, [target]);
      const said: string[] = [];
      child.on('message', (message) => said.push(String(message)));
      const code = await new Promise((resolve) => child.on('close', resolve));
      assert.equal(code, 0);
      return said.join();
    }),
  );
  assert.deepEqual(results.filter((said) => said.startsWith('built')).length, 1, results.join('; '));
  assert.equal(readFileSync(path.join(target, 'built-by'), 'utf8').length > 0, true);
  assert.deepEqual(readdirSync(root), ['many']);
});

test('a failed build leaves its work to the next', async () => {
  const target = path.join(root, 'failed');
  const build = buildOnce(target, async (folder) => {
    writeFileSync(path.join(folder, 'piece'), 'x');
    throw new Error('no');
  });
  await assert.rejects(build, /no/);
  assert.ok(!existsSync(target));
  await buildOnce(target, async (folder) =>
    assert.equal(readFileSync(path.join(folder, 'piece'), 'utf8'), 'x'),
  );
  await buildOnce(target, () => assert.fail('it is there'));
});

test('a claim whose process has died, here or elsewhere, is not waited for', async () => {
  for (const [owner, age] of [
    [`${hostname()} 999999999`, 0],
    ['other-host 1', 120],
    [`${hostname()} ${process.pid}`, 1200],
  ] as const) {
    const target = path.join(root, `dead ${owner} ${age}`);
    const then = Date.now() / 1000 - age;
    writeFileSync(`${target}.claim-3`, owner);
    utimesSync(`${target}.claim-3`, then, then);
    mkdirSync(`${target}.unfinished`);
    writeFileSync(path.join(`${target}.unfinished`, 'piece'), 'x');
    await buildOnce(target, async (folder) => assert.ok(existsSync(path.join(folder, 'piece'))));
    assert.deepEqual(
      readdirSync(root).filter((name) => name.startsWith(path.basename(target))),
      [path.basename(target)],
    );
  }
});
