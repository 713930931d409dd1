import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { withFolderLock } from './acquire-postgres.ts';

let folder: string;
before(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'graft-lock-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

test('one at a time, and nothing is left, also after a fault', async () => {
  let running = 0;
  const work = async () => {
    running += 1;
    assert.equal(running, 1);
    await sleep(20);
    running -= 1;
  };
  await Promise.all(Array.from({ length: 5 }, () => withFolderLock(folder, work)));
  await assert.rejects(
    withFolderLock(folder, () => Promise.reject(new Error('no'))),
    /no/,
  );
  assert.deepEqual(readdirSync(folder), []);
});

test('the lock of a process that died is broken by one of those who wait', async () => {
  writeFileSync(path.join(folder, 'lock'), '999999999 1');
  let running = 0;
  await Promise.all(
    Array.from({ length: 4 }, () =>
      withFolderLock(folder, async () => {
        running += 1;
        assert.equal(running, 1);
        await sleep(20);
        running -= 1;
      }),
    ),
  );
  assert.deepEqual(readdirSync(folder), []);
});
