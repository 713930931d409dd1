import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { loadServiceEnv } from '../environment/env.ts';
import { parseRing, writeRing } from './secret-ring.ts';
import { loadSecrets, type Secrets } from './secrets.ts';

let dataDir: string;
before(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'graft-secrets-'));
});
after(async () => await rm(dataDir, { recursive: true, force: true }));

test('made once, however many start together, for their owner only', async () => {
  const env = loadServiceEnv({ GRAFT_DATA_DIR: dataDir });
  const loaded = await Promise.all(Array.from({ length: 8 }, () => loadSecrets(env)));
  const read = ({ pepper, internalToken }: Secrets) => [pepper.text, internalToken];
  for (const secrets of loaded) assert.deepEqual(read(secrets), read(loaded[0]!));
  assert.match(loaded[0]!.pepper.current.secret, /^[0-9a-f]{64}$/);
  assert.equal(loaded[0]!.sealing, loaded[0]!.pepper);
  assert.notEqual(loaded[0]!.pepper.current.secret, loaded[0]!.internalToken);
  const folder = path.join(dataDir, 'secrets');
  assert.deepEqual((await readdir(folder)).sort(), ['internal-token', 'pepper']);
  for (const name of ['internal-token', 'pepper']) {
    assert.equal((await stat(path.join(folder, name))).mode & 0o777, 0o600);
  }
  assert.equal((await stat(folder)).mode & 0o777, 0o700);
  assert.deepEqual(read(await loadSecrets(env)), read(loaded[0]!), 'and kept');
});

test('the environment wins and leaves the files alone', async () => {
  const before = await readFile(path.join(dataDir, 'secrets/pepper'), 'utf8');
  const [pepper, internalToken] = ['2:wdfkj2390fjwlsk9,1:wkf93;:kdf0+2klf', 'token-9384f2398a'];
  const env = loadServiceEnv({
    GRAFT_DATA_DIR: dataDir,
    GRAFT_PEPPER: pepper,
    GRAFT_INTERNAL_TOKEN: internalToken,
  });
  const loaded = await loadSecrets(env);
  assert.equal(loaded.pepper.text, pepper);
  assert.equal(loaded.internalToken, internalToken);
  assert.equal(await readFile(path.join(dataDir, 'secrets/pepper'), 'utf8'), before);
});

test('a running process follows the file of its ring, and keeps what it has where the file is missing', async () => {
  const env = loadServiceEnv({ GRAFT_DATA_DIR: dataDir });
  const { pepper } = await loadSecrets(env);
  const file = (name: string) => path.join(dataDir, 'secrets', name);
  const [first, second] = [pepper.current, { version: 2, secret: 'made-by-another-process' }];
  await assert.rejects(pepper.find(2), { code: 'secrets_outdated' });
  await writeFile(file('pepper.2'), second.secret);
  assert.equal(await pepper.find(2), second.secret);
  assert.equal(pepper.current.version, 2);
  for (const name of ['pepper', 'pepper.2']) await rm(file(name));
  await assert.rejects(pepper.find(3), { code: 'secrets_outdated' });
  assert.equal(await pepper.find(1), first.secret);
  await assert.rejects(readFile(file('pepper')), { code: 'ENOENT' });
  await writeFile(file('pepper.2'), second.secret);
  const later = (await loadSecrets(env)).pepper;
  assert.deepEqual(later.versions, [second], 'version 1 was dropped, and is not made again');
});

test('a ring is read as it is written, and a secret alone is version 1', () => {
  const alone = 'a pepper, of an earlier version: 16';
  assert.deepEqual(parseRing(alone), [{ version: 1, secret: alone }]);
  const ring = [
    { version: 12, secret: 'abcdefghijk:mnopq' },
    { version: 3, secret: 'rstuvwxyzabcdefghi' },
  ];
  assert.deepEqual(parseRing(writeRing(ring)), ring);
  for (const faulty of [
    'short',
    '2:short,1:abcdefghijklmnopq',
    '1:abcdefghijklmnopq,1:abcdefghijklmnopq',
    '2:abcdefghijklmnopq,',
    '0:abcdefghijklmnopq',
  ])
    assert.equal(parseRing(faulty), null, faulty);
});

test('a worker has none of the keys of the API, in memory or in a file that it made', async (t) => {
  const own = await mkdtemp(path.join(tmpdir(), 'graft-worker-secrets-'));
  t.after(async () => await rm(own, { recursive: true, force: true }));
  const env = loadServiceEnv({ GRAFT_DATA_DIR: own });
  const secrets = await loadSecrets(env, 'worker');
  assert.deepEqual(Object.keys(secrets).sort(), ['internalTls', 'internalToken']);
  for (const name of ['pepper', 'sealing'] as const)
    assert.throws(() => secrets[name], /A worker does not hold the/);
  assert.deepEqual(await readdir(path.join(own, 'secrets')), ['internal-token']);
});
