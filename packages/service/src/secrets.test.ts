import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { loadServiceEnv } from './env.ts';
import { loadSecrets } from './secrets.ts';

let dataDir: string;
before(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'graft-secrets-'));
});
after(async () => await rm(dataDir, { recursive: true, force: true }));

test('made once, however many start together, for their owner only', async () => {
  const env = loadServiceEnv({ GRAFT_DATA_DIR: dataDir });
  const loaded = await Promise.all(Array.from({ length: 8 }, () => loadSecrets(env)));
  for (const secrets of loaded) assert.deepEqual(secrets, loaded[0]);
  assert.match(loaded[0]!.pepper, /^[0-9a-f]{64}$/);
  assert.notEqual(loaded[0]!.pepper, loaded[0]!.internalToken);
  const folder = path.join(dataDir, 'secrets');
  assert.deepEqual((await readdir(folder)).sort(), ['internal-token', 'pepper']);
  for (const name of ['internal-token', 'pepper']) {
    assert.equal((await stat(path.join(folder, name))).mode & 0o777, 0o600);
  }
  assert.equal((await stat(folder)).mode & 0o777, 0o700);
  assert.deepEqual(await loadSecrets(env), loaded[0], 'and kept');
});

test('the environment wins and leaves the files alone', async () => {
  const before = await readFile(path.join(dataDir, 'secrets/pepper'), 'utf8');
  const [pepper, internalToken] = ['p'.repeat(20), 't'.repeat(20)];
  const env = loadServiceEnv({
    GRAFT_DATA_DIR: dataDir,
    GRAFT_PEPPER: pepper,
    GRAFT_INTERNAL_TOKEN: internalToken,
  });
  assert.deepEqual(await loadSecrets(env), { pepper, internalToken, internalTls: null });
  assert.equal(await readFile(path.join(dataDir, 'secrets/pepper'), 'utf8'), before);
});
