/** Processes that are killed, closed or slow while they deploy, and faults that are not the runtime's. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { PassThrough } from 'node:stream';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { GraftError } from '@graft/peft-core/config';
import { retryDeployTarget } from '../manage-targets.ts';
import { DeployBench, until } from '../testing/deploy-bench.ts';
import { by } from '../testing/deployed-adapter.ts';
import type { DeployServices } from './deploy-times.ts';

let bench: DeployBench;
before(async () => {
  bench = await DeployBench.open();
});
after(async () => await bench?.close());

test('a process that is killed between loading and recording leaves its target to another, when its lease ends', async (t) => {
  const { server, target } = await bench.target(t);
  // The answer to the second list never comes.
  server.next = ['0ms', '0ms', '20000ms'];
  const { env, databaseUrl } = bench.services;
  const child = fork(new URL('../testing/deploying-process.ts', import.meta.url), {
    execArgv: ['--import', 'tsx'],
    env: {
      ...process.env,
      DATABASE_URL: databaseUrl,
      GRAFT_DATA_DIR: env.dataDir,
      GRAFT_DEPLOY_ALLOW: '*=127.0.0.1:*',
      GRAFT_DEPLOY_FOLDER: bench.shared,
    },
  });
  t.after(() => child.kill('SIGKILL'));
  const exit = once(child, 'exit');
  const loaded = Date.now() + 30_000;
  while (!server.loaded.has('support-v1') && Date.now() < loaded) await sleep(50);
  child.kill('SIGKILL');
  await exit;
  const left = (await bench.row(target))!;
  assert.equal(left.state, 'loading');
  assert.ok(left.leaseUntil!.getTime() - Date.now() < 2_500);
  bench.start(t);
  assert.equal((await bench.deployed(target)).deployedVersion, 1);
  assert.deepEqual(server.log, ['load support-v1']);
});

test('a lease is renewed while a runtime loads slowly: no other process takes the target meanwhile', async (t) => {
  const { server, target } = await bench.target(t);
  server.next = ['0ms', '3000ms'];
  for (let n = 0; n < 2; n++) bench.start(t, { leaseSeconds: 1, wholeMs: 20_000 });
  await bench.deployed(target);
  assert.deepEqual(server.log, ['load support-v1']);
  assert.equal(server.maxConcurrent, 1);
});

test('a list may take as long as a list takes, a load longer', async (t) => {
  const { server, target } = await bench.target(t);
  server.next = ['1500ms', '0ms', '1500ms'];
  bench.start(t, { listMs: 500, wholeMs: 20_000, firstSeconds: 0.5 });
  const { reason } = await bench.failing(target);
  assert.match(reason!, /^No answer came from the server/);
  await bench.deployed(target);
  assert.deepEqual(server.log, ['load support-v1']);
});

test('a fault of the service or its folder is shown, ends the lease, and is tried again', async (t) => {
  const { server, target, team, folder } = await bench.target(t);
  let isAway = true;
  const open: DeployServices['artifacts']['open'] = async (...file) => {
    if (isAway) throw new GraftError('storage_away', 'secret words', { param: null });
    return await bench.services.artifacts.open(...file);
  };
  const sender = bench.start(t, {}, withArtifacts(open));
  const failing = await bench.failing(target);
  assert.match(failing.reason!, /^Deploying failed because of a fault in the service/);
  await until(async () => (await bench.row(target))!.failures > 2);
  isAway = false;
  await bench.deployed(target);
  await sender.close();
  assert.equal((await bench.row(target))!.leaseUntil, null);

  // A file where the folder should be.
  server.restart();
  await rm(folder, { recursive: true });
  await writeFile(folder, '');
  bench.start(t);
  assert.match(
    (await bench.failing(target)).reason!,
    /shared folder of deployments cannot be used \(E[A-Z]+\)/,
  );
  await rm(folder);
  await retryDeployTarget(bench.services, team.id, target.id, by);
  await bench.deployed(target);
});

test('close ends a copy at once, and one that hangs ends with a reason', async (t) => {
  const { target, folder } = await bench.target(t);
  let opened = 0;
  const hangs = withArtifacts(async () => {
    opened++;
    return new PassThrough() as never;
  });
  const sender = bench.start(t, {}, hangs);
  await until(() => opened === 1);
  const at = performance.now();
  await sender.close();
  assert.ok(performance.now() - at < 3_000);
  const left = (await bench.row(target))!;
  assert.deepEqual([left.leaseUntil, left.failures], [null, 0]);

  // As a network file system whose server is unavailable: not even an abort ends it.
  const stuck = withArtifacts(async () => await new Promise<never>(() => {}));
  const slow = bench.start(t, { attemptSeconds: 0.5, firstSeconds: 0.2 }, stuck);
  assert.match((await bench.failing(target)).reason!, /^The attempt took too long/);
  await slow.close();
  bench.start(t);
  await bench.deployed(target);
  await until(async () => (await readdir(folder)).length === 1);
});

const withArtifacts = (open: DeployServices['artifacts']['open']): DeployServices => ({
  ...bench.services,
  artifacts: Object.assign(Object.create(bench.services.artifacts), { open }),
});
