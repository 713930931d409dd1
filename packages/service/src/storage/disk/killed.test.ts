import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openStores } from '../open-stores.ts';

test('whenever a process is killed, what the stores list is whole', async () => {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'graft-killed-'));
  const { files, artifacts } = await openStores({
    dataDir,
    artifactsUrl: undefined,
    s3Endpoint: undefined,
    storageCacheBytes: 0,
  });
  try {
    for (let round = 0; round < 2; round++) {
      const script = fileURLToPath(new URL('../testing/store-for-ever.ts', import.meta.url));
      const child = spawn(process.execPath, [...process.execArgv, script, dataDir], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const exited = once(child, 'exit');
      await once(child.stdout!, 'data');
      await sleep(Math.random() * 60);
      child.kill('SIGKILL');
      await exited;
    }
    let listed = 0;
    for await (const { name: artifact } of artifacts.list()) {
      const folder = await artifacts.localFolder(artifact, { afresh: true });
      assert.deepEqual((await readdir(folder)).sort(), ['a.bin', 'nested']);
      listed += 1;
    }
    for await (const { name } of files.list()) {
      const { size } = await stat(path.join(dataDir, 'files', name.slice(0, 2), name));
      assert.equal(size, 200_000);
      listed += 1;
    }
    assert.ok(listed >= 4, `${listed}`);
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
});
