import assert from 'node:assert/strict';
import { chmod, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { runGraft, temporaryFolder } from '../testing/run-graft.ts';
import { KEY, wireServer } from '../testing/wire-server.ts';

test('a key that works is saved for its owner alone, used, sent nowhere else, and forgotten', async (t) => {
  const server = await wireServer(t);
  const other = await wireServer(t);
  const env = { XDG_CONFIG_HOME: temporaryFolder(t) };
  const path = join(env.XDG_CONFIG_HOME, 'graft/profile.json');

  const login = await runGraft(['login', '--base-url', server.env.GRAFT_BASE_URL], {
    env,
    stdin: `${KEY}\n`,
  });
  assert.equal(login.code, 0, login.stderr);
  assert.equal(login.stdout.includes(KEY) || login.stderr.includes(KEY), false);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(JSON.parse(await readFile(path, 'utf8')), {
    baseUrl: server.env.GRAFT_BASE_URL,
    apiKey: KEY,
  });

  const list = await runGraft(['files', 'list', '--json'], { env });
  assert.equal(list.code, 0, list.stderr);

  // The saved key is not sent to another service.
  const elsewhere = await runGraft(['files', 'list', '--base-url', other.env.GRAFT_BASE_URL], { env });
  assert.equal(elsewhere.code, 2);
  assert.match(elsewhere.stderr, /the saved key is for http/);
  assert.deepEqual(other.requests, []);

  // The environment takes precedence over the profile.
  const wrong = { ...env, GRAFT_API_KEY: 'graft_wrongwrong_secretsecretsecretsecret' };
  assert.equal((await runGraft(['files', 'list'], { env: wrong })).code, 1);

  await chmod(path, 0o644);
  const exposed = await runGraft(['files', 'list'], { env });
  assert.match(exposed.stderr, /others may read your key/);
  assert.equal((await stat(path)).mode & 0o777, 0o600);

  assert.equal((await runGraft(['logout'], { env })).stdout, 'Deleted.\n');
  assert.equal((await runGraft(['logout'], { env })).stdout, 'Nothing was saved.\n');
});

test('a key that does not work is not saved', async (t) => {
  const server = await wireServer(t);
  const env = { XDG_CONFIG_HOME: temporaryFolder(t) };
  const args = ['login', '--base-url', server.env.GRAFT_BASE_URL];
  const login = await runGraft(args, { env, stdin: 'graft_wrongwrong_secretsecretsecretsecret' });
  assert.equal(login.code, 1);
  await assert.rejects(stat(join(env.XDG_CONFIG_HOME, 'graft/profile.json')), { code: 'ENOENT' });
});
