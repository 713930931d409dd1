import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { createTestDatabase } from '@graft/service/testing';
import {
  freePort,
  graftEnvironment,
  startProcess,
  whenReady,
} from '../../../../test/service/running-graft.ts';
import { runGraft, temporaryFolder } from '../testing/run-graft.ts';

test('integrations against a real API: from set to delete, the secret from the environment', async (t) => {
  const database = await createTestDatabase();
  t.after(async () => await database.drop());
  const port = await freePort();
  const place = { DATABASE_URL: database.url, GRAFT_DATA_DIR: join(temporaryFolder(t), 'data') };
  const running = startProcess(
    'apps/api/src/main.ts',
    [],
    graftEnvironment({ ...place, PORT: String(port), HOST: '127.0.0.1' }),
  );
  t.after(async () => void (await running.end('SIGTERM')));
  await whenReady(running, `http://127.0.0.1:${port}/readyz`);
  const admin = async (...args: string[]) =>
    (await runGraft(['admin', ...args], { env: place })).stdout.trim();
  await admin('teams', 'create', 'trackers');
  const key = await admin('keys', 'create', '--team', 'trackers', '--role', 'admin');
  const env = { GRAFT_BASE_URL: `http://127.0.0.1:${port}/v1`, GRAFT_API_KEY: key, WANDB_API_KEY: 'canary' };
  const graft = async (...args: string[]) => await runGraft(['integrations', ...args], { env });

  assert.match((await graft('list')).stdout, /^None yet\. Set one up with: graft integrations set mlflow/);
  const set = await graft('set', 'wandb', '--secret-env', 'WANDB_API_KEY');
  assert.equal(set.stdout, 'Metrics of jobs may be sent to wandb at https://api.wandb.ai now.\n', set.stderr);
  const list = await graft('list');
  assert.match(list.stdout, /^wandb +https:\/\/api\.wandb\.ai +set +20\d\d-/m);
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
