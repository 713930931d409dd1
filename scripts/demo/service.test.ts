import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { freePort, startGraft } from './service.ts';

// Each has an embedded Postgres here, whatever database the tests use.
delete process.env.DATABASE_URL;
delete process.env.REDIS_URL;

const root = path.resolve(import.meta.dirname, '../..');
const keyOf = (name: string) => `graft_${name.padEnd(12, '0')}_${'kq7'.repeat(10)}`;

function dataFolder(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'graft-demo-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  // So that Postgres' user can reach its place in it.
  chmodSync(folder, 0o755);
  return path.join(folder, 'data');
}

async function statusWith(baseUrl: string, key: string): Promise<number> {
  return (await fetch(`${baseUrl}/models`, { headers: { authorization: `Bearer ${key}` } })).status;
}

test('two demos run side by side, each with its own port, data and key', async (t) => {
  const folders = [dataFolder(t), dataFolder(t)];
  const taken = await freePort();
  const [one, two] = await Promise.all(
    folders.map((dataDir, i) =>
      startGraft({ root, dataDir, key: keyOf(`demo${i}`), port: i === 0 ? taken : null }),
    ),
  );
  try {
    assert.deepEqual(
      await Promise.all([
        statusWith(one!.baseUrl, keyOf('demo0')),
        statusWith(one!.baseUrl, keyOf('demo1')),
        statusWith(two!.baseUrl, keyOf('demo1')),
        statusWith(two!.baseUrl, keyOf('demo0')),
      ]),
      [200, 401, 200, 401],
    );
    for (const folder of folders) assert.ok(existsSync(path.join(folder, 'postgres/server.json')));
    assert.equal(one!.baseUrl, `http://127.0.0.1:${taken}/v1`);
    await assert.rejects(
      startGraft({ root, dataDir: dataFolder(t), key: keyOf('demo3'), port: taken }),
      /^Error: PORT \d+ cannot be used \(.*EADDRINUSE.*\): choose another, or leave it unset$/,
    );
  } finally {
    await Promise.all([one!.stop(), two!.stop()]);
  }
});
