import assert from 'node:assert/strict';
import { test } from 'node:test';
import { graftIn, runGraft, temporaryFolder } from '../testing/run-graft.ts';
import { startApi } from '../testing/start-api.ts';
import { wireServer } from '../testing/wire-server.ts';

test('deploy targets against a real API: what is missing is named, and refusals are shown', async (t) => {
  const folder = temporaryFolder(t);
  const place = await startApi(t, folder);
  const { json } = graftIn(folder, place);
  await json(['admin', 'teams', 'create', 'shop']);
  const { key } = await json(['admin', 'keys', 'create', '--team', 'shop', '--role', 'admin']);
  const env = { GRAFT_BASE_URL: place.GRAFT_BASE_URL, GRAFT_API_KEY: key };
  const graft = async (...args: string[]) => await runGraft(['deploy-targets', ...args], { env });

  assert.match((await graft('list')).stdout, /^None yet\. Create one with: graft deploy-targets create/);
  const create = [
    'create',
    'shop',
    '--runtime',
    'vllm',
    '--url',
    'https://example.com',
    '--adapter',
    'adpt-x',
  ];
  assert.match((await graft(...create)).stderr, /Add --tag and --model-name/);
  const whole = [...create, '--tag', 'production', '--model-name', 'support'];
  const off = await graft(...whole);
  assert.equal(off.code, 1);
  assert.match(off.stderr, /GRAFT_DEPLOY_FOLDER/);
  assert.match((await graft(...whole, '--runtime-key-env', 'NO_KEY')).stderr, /NO_KEY is not set/);
  assert.equal((await graft('create', 'shop', '--runtime', 'tgi')).code, 2);
  assert.match((await graft('get', 'dpt-x')).stderr, /No such deploy target: dpt-x/);
  assert.match((await graft('update', 'dpt-x')).stderr, /Nothing to change/);
  const both = await graft('update', 'dpt-x', '--same-name', '--versioned-names');
  assert.match(both.stderr, /Use either --same-name or --versioned-names/);
  const keys = await runGraft(
    ['deploy-targets', 'update', 'dpt-x', '--no-runtime-key', '--runtime-key-env', 'A_KEY'],
    { env: { ...env, A_KEY: 'a' } },
  );
  assert.match(keys.stderr, /Use either --no-runtime-key or a new key/);
  assert.equal((await graft('delete', 'dpt-x')).code, 1);
});

test('update can undo --same-name and remove the API key', async (t) => {
  const { env, requests } = await wireServer(t);
  const bodies = async (...args: string[]) => {
    requests.length = 0;
    await runGraft(['deploy-targets', 'update', 'dpt-1', ...args], { env });
    return requests.map(({ body }) => JSON.parse(body));
  };
  assert.deepEqual(await bodies('--versioned-names'), [{ versioned_names: true }]);
  assert.deepEqual(await bodies('--no-runtime-key'), [{ api_key: null }]);
  assert.deepEqual(await bodies('--same-name', '--tag', 'staging'), [
    { versioned_names: false, tag: 'staging' },
  ]);
});
