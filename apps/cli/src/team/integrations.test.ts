import assert from 'node:assert/strict';
import { test } from 'node:test';
import { graftIn, runGraft, temporaryFolder } from '../testing/run-graft.ts';
import { startApi } from '../testing/start-api.ts';

test('integrations against a real API: from set to delete, the secret from the environment', async (t) => {
  const folder = temporaryFolder(t);
  const place = await startApi(t, folder);
  const { json } = graftIn(folder, place);
  await json(['admin', 'teams', 'create', 'trackers']);
  const { key } = await json(['admin', 'keys', 'create', '--team', 'trackers', '--role', 'admin']);
  const env = { GRAFT_BASE_URL: place.GRAFT_BASE_URL, GRAFT_API_KEY: key, WANDB_API_KEY: 'canary' };
  const graft = async (...args: string[]) => await runGraft(['integrations', ...args], { env });

  assert.match((await graft('list')).stdout, /^None yet\. Set one up with: graft integrations set mlflow/);
  const set = await graft('set', 'wandb', '--secret-env', 'WANDB_API_KEY');
  assert.equal(set.stdout, 'Jobs can now send metrics to wandb at https://api.wandb.ai.\n', set.stderr);
  const list = await graft('list');
  assert.match(list.stdout, /^wandb +https:\/\/api\.wandb\.ai +set +\S+ +enabled +20\d\d-/m);
  assert.ok(!list.stdout.includes('canary'));
  const [integration] = JSON.parse((await graft('list', '--json')).stdout).data;
  assert.equal(integration.has_secret, true);

  const inside = await graft('set', 'mlflow', '--url', 'http://127.0.0.1:5000');
  assert.equal(inside.code, 1);
  assert.match(inside.stderr, /not on the internet.*GRAFT_INTEGRATION_ALLOW/);
  assert.equal((await graft('set', 'comet')).code, 2);
  assert.equal((await graft('set', 'wandb', '--secret-env', 'NO_SUCH_VARIABLE')).code, 2);
  assert.equal((await graft('delete', 'wandb')).stdout, 'Deleted the wandb integration.\n');
  assert.equal((await graft('delete', 'wandb')).code, 1);
});
