/** Loads adapters into servers that answer as vLLM does, on real Postgres and a real folder. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdir, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import path from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeTag } from '../../adapters/adapter-tags.ts';
import { deleteVersions } from '../../adapters/delete-adapters.ts';
import type { Services } from '../../services.ts';
import { createTestTeam } from '../../testing/job-fixtures.ts';
import { openTestServices } from '../../testing/open-test-services.ts';
import { deleteDeployTarget, retryDeployTarget, updateDeployTarget } from '../manage-targets.ts';
import {
  addTarget,
  by,
  publishVersion,
  quick,
  sharedFolder,
  tag,
  untilTarget,
} from '../testing/deployed-adapter.ts';
import type { RuntimeServer } from '../testing/runtime-server.ts';
import { openVllmServer } from '../testing/vllm-server.ts';
import { startDeploySender } from './deploy-sender.ts';
import type { DeployTimes } from './deploy-times.ts';

let services: Services;
let shared: string;
const servers: RuntimeServer[] = [];
const senders: { close(): Promise<void> }[] = [];

before(async () => {
  shared = await sharedFolder();
  services = await openTestServices({
    env: { GRAFT_DEPLOY_ALLOW: '*=127.0.0.1:*', GRAFT_DEPLOY_FOLDER: shared },
  });
});
afterEach(async () => {
  for (const each of senders.splice(0)) await each.close();
  for (const each of servers.splice(0)) await each.close();
  await services.sql.query('DELETE FROM deploy_targets');
});
after(async () => {
  await services?.close();
  await rm(shared, { recursive: true, force: true });
});

const start = (times: Partial<DeployTimes> = {}) => {
  senders.push(startDeploySender(services, { ...quick, ...times }));
};
const stop = async () => {
  for (const each of senders.splice(0)) await each.close();
};
async function vllm(options: Parameters<typeof openVllmServer>[0] = {}): Promise<RuntimeServer> {
  const server = await openVllmServer(options);
  servers.push(server);
  return server;
}
async function twoVersions(peft?: Record<string, unknown>) {
  const team = await createTestTeam(services);
  const first = await publishVersion(services, team, peft);
  return { team, first, second: await publishVersion(services, team, peft) };
}
const names = (server: RuntimeServer) => [...server.loaded.keys()];

test('moving a tag loads the version, checks it, unloads the old one and removes its files; a rollback is the same', async () => {
  const { team, first, second } = await twoVersions();
  const server = await vllm();
  const target = await addTarget(services, first, { url: `${server.url}/v1/` });
  start();
  const waiting = await untilTarget(services, target, ({ reason }) => reason !== null);
  assert.equal(waiting.state, 'waiting');
  assert.equal(waiting.reason, 'The adapter has no tag production: point it at a version.');
  await tag(services, first);
  const deployed = await untilTarget(services, target, ({ state }) => state === 'deployed');
  assert.deepEqual([deployed.deployedVersion, deployed.servedModel], [1, 'support-v1']);
  const folder = path.join(shared, team.id, target.id);
  const [version] = await readdir(folder);
  assert.match(version!, /^v1-[0-9a-f]{12}$/);
  assert.equal(server.loaded.get('support-v1'), path.join(folder, version!));
  assert.deepEqual((await readdir(path.join(folder, version!))).sort(), [
    'adapter_config.json',
    'adapter_model.safetensors',
  ]);

  await tag(services, second);
  await untilTarget(services, target, ({ deployedVersion }) => deployedVersion === 2);
  await tag(services, first);
  await untilTarget(services, target, ({ deployedVersion }) => deployedVersion === 1);
  await until(async () => (await readdir(folder)).length === 1 && server.loaded.size === 1);
  assert.deepEqual(names(server), ['support-v1']);
  assert.deepEqual(server.log.slice(0, 4), [
    'load support-v1',
    'load support-v2',
    'unload support-v1',
    'load support-v1',
  ]);
});

test('without a tag, and when the target is deleted, the runtime unloads, and no files remain', async () => {
  const { team, first } = await twoVersions();
  const server = await vllm();
  const target = await addTarget(services, first, { url: server.url });
  await tag(services, first);
  start();
  await untilTarget(services, target, ({ state }) => state === 'deployed');
  await removeTag(services, team.id, { adapterId: first.adapterId, name: 'production' }, by);
  const empty = await untilTarget(services, target, ({ state }) => state === 'waiting');
  assert.deepEqual([empty.deployedVersion, empty.servedModel, server.loaded.size], [null, null, 0]);
  assert.equal(await deleteVersions(services, team.id, { adapterId: first.adapterId, number: 1 }, by), 1);

  await tag(services, { ...first, number: 2 });
  await untilTarget(services, target, ({ deployedVersion }) => deployedVersion === 2);
  assert.equal(await deleteDeployTarget(services, team.id, target.id, by), true);
  await until(async () => (await services.db.deployTarget.count({ where: { id: target.id } })) === 0);
  assert.equal(server.loaded.size, 0);
  assert.deepEqual(await readdir(path.join(shared, team.id)), []);
});

test('the previous version stays loaded for keep_seconds', async () => {
  const { first, second } = await twoVersions();
  const server = await vllm();
  const target = await addTarget(services, first, { url: server.url, keepSeconds: 1 });
  await tag(services, first);
  start();
  await untilTarget(services, target, ({ state }) => state === 'deployed');
  await tag(services, second);
  await untilTarget(services, target, ({ deployedVersion }) => deployedVersion === 2);
  await sleep(400);
  assert.deepEqual(names(server), ['support-v1', 'support-v2']);
  await until(async () => server.loaded.size === 1);
  assert.deepEqual(names(server), ['support-v2']);
});

test('with one name, a version that is refused does not end the one that serves', async () => {
  const team = await createTestTeam(services);
  const first = await publishVersion(services, team);
  const large = await publishVersion(services, team, { r: 64 });
  const third = await publishVersion(services, team);
  const server = await vllm();
  const target = await addTarget(services, first, { url: server.url, versionedNames: false });
  await tag(services, first);
  start();
  await untilTarget(services, target, ({ state }) => state === 'deployed');
  await tag(services, large);
  const failing = await untilTarget(services, target, ({ state }) => state === 'failing');
  assert.match(failing.reason!, /larger --max-lora-rank/);
  assert.deepEqual([failing.deployedVersion, failing.servedModel], [1, 'support']);
  await until(async () => server.loaded.get('support')?.includes('/v1-') === true);
  await tag(services, third);
  await untilTarget(services, target, ({ deployedVersion }) => deployedVersion === 3);
  assert.match(server.loaded.get('support')!, /\/v3-/);
});

test('a runtime that restarts gets its adapter again; one that is down or slow or cuts connections is retried', async () => {
  const { first, second } = await twoVersions();
  const server = await vllm();
  const target = await addTarget(services, first, { url: server.url });
  await tag(services, first);
  server.next = ['cut', 503, 'lost', 500, '200ms'];
  start();
  await untilTarget(services, target, ({ state }) => state === 'deployed');
  server.restart();
  await until(async () => server.loaded.has('support-v1'));
  // Loaded and unloaded, but the answers are lost.
  await stop();
  await tag(services, second);
  server.next = ['0ms', 'lost', '0ms', '0ms', 'lost'];
  start();
  await untilTarget(services, target, ({ deployedVersion }) => deployedVersion === 2);
  await until(async () => server.loaded.size === 1);
  assert.deepEqual(names(server), ['support-v2']);
  server.next = ['1500ms'];
  const failing = await untilTarget(services, target, ({ state }) => state === 'failing');
  assert.match(failing.reason!, /^No answer came from the server/);
  assert.equal(failing.deployedVersion, 2);
  await untilTarget(services, target, ({ state }) => state === 'deployed');
});

test('reasons say what to do at the runtime', async () => {
  const { team, first } = await twoVersions();
  const cases: [Parameters<typeof openVllmServer>[0], RegExp][] = [
    [{ allowUpdating: false }, /VLLM_ALLOW_RUNTIME_LORA_UPDATING=True/],
    [{ enableLora: false }, /start vLLM with --enable-lora/],
    [{ maxRank: 1 }, /larger --max-lora-rank/],
    [{ apiKey: 'a-key' }, /answered 401 .* api_key/],
    [{ listsPaths: false }, /does not list it with its path/],
  ];
  start();
  for (const [options, reason] of cases) {
    const server = await vllm(options);
    const target = await addTarget(services, first, { url: server.url });
    await tag(services, first);
    assert.match((await untilTarget(services, target, ({ state }) => state === 'failing')).reason!, reason);
  }
  const server = await vllm({ apiKey: 'a-key' });
  const target = await addTarget(services, first, { url: server.url, folder: '/elsewhere', apiKey: 'wrong' });
  await untilTarget(services, target, ({ reason }) => /401/.test(reason ?? ''));
  await updateDeployTarget(services, team.id, target.id, { apiKey: 'a-key' }, by);
  const missing = await untilTarget(services, target, ({ reason }) => /cannot read/.test(reason ?? ''));
  assert.match(missing.reason!, /cannot read \/elsewhere\/dpt-.*mount the shared folder/);
  await updateDeployTarget(services, team.id, target.id, { folder: path.join(shared, team.id) }, by);
  await untilTarget(services, target, ({ state }) => state === 'deployed');
});

test('a target shows nothing of a port but whether a runtime answers there, and without a key it asks nothing inside', async () => {
  const { team, first } = await twoVersions();
  await tag(services, first);
  const silent = createServer(() => {}).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const targets = [];
  for (const url of ['http://127.0.0.1:1', `http://127.0.0.1:${port}`, `https://127.0.0.1:${port}`])
    targets.push(await addTarget(services, first, { url }));
  start();
  const shown = [];
  for (const target of targets) {
    const failing = await untilTarget(services, target, ({ state }) => state === 'failing');
    const { checkedAt, deployedVersion, servedModel, reason, state } = failing;
    shown.push({ checkedAt, deployedVersion, servedModel, reason, state });
  }
  assert.deepEqual(shown, [shown[0], shown[0], shown[0]]);
  silent.close();
  // A target of an earlier version of Graft, which required no key.
  const server = await vllm();
  const old = await addTarget(services, first, { url: server.url });
  await services.db.deployTarget.updateMany({
    where: { teamId: team.id, id: old.id },
    data: { sealed: null },
  });
  const refused = await untilTarget(
    services,
    old,
    ({ reason }) => reason?.startsWith('It has no API key') ?? false,
  );
  assert.match(refused.reason!, /give that key as api_key/);
});

test("an adapter that vLLM does not hold is refused before anything is sent, and others' names are left alone", async () => {
  const { first } = await twoVersions({ use_dora: true });
  const server = await vllm();
  const target = await addTarget(services, first, { url: server.url });
  await tag(services, first);
  start();
  const refused = await untilTarget(services, target, ({ state }) => state === 'failing');
  assert.match(refused.reason!, /^vLLM does not hold Version 1: .* without magnitudes/);
  assert.deepEqual(server.log, []);

  const plain = await twoVersions();
  server.loaded.set('theirs-v1', '/somewhere/else');
  const taken = await addTarget(services, plain.first, { url: server.url, modelName: 'theirs' });
  await tag(services, plain.first);
  const failing = await untilTarget(services, taken, ({ state }) => state === 'failing');
  assert.match(failing.reason!, /has a model theirs-v1 that this target did not load/);
  assert.equal(server.loaded.get('theirs-v1'), '/somewhere/else');
});

test('several processes and moves at once: one request at a time, and the last move wins', async () => {
  const team = await createTestTeam(services);
  const versions = [];
  for (let n = 0; n < 4; n++) versions.push(await publishVersion(services, team));
  const server = await vllm();
  const target = await addTarget(services, versions[0]!, { url: server.url });
  for (let n = 0; n < 4; n++) start();
  for (let round = 0; round < 5; round++) {
    await Promise.all(versions.map(async (version) => await tag(services, version)));
    await sleep(30);
  }
  await tag(services, versions[2]!);
  await untilTarget(services, target, (now) => now.deployedVersion === 3 && now.state === 'deployed');
  await until(async () => server.loaded.size === 1);
  assert.deepEqual(names(server), ['support-v3']);
  assert.equal(server.maxConcurrent, 1);
});

test("a move while an attempt runs is not lost, and a team's slow runtime does not delay another team", async () => {
  const slow = await twoVersions();
  const fast = await twoVersions();
  const server = await vllm();
  const other = await vllm();
  const target = await addTarget(services, slow.first, { url: server.url });
  await tag(services, slow.first);
  server.next = ['3000ms'];
  start({ checkSeconds: 60, listMs: 20_000 });
  await until(async () => server.requests === 1);
  await tag(services, slow.second);
  const quickTarget = await addTarget(services, fast.first, { url: other.url });
  await tag(services, fast.first);
  await untilTarget(services, quickTarget, ({ state }) => state === 'deployed');
  assert.equal(server.requests, 1, 'the slow runtime still has not answered');
  await untilTarget(services, target, ({ deployedVersion }) => deployedVersion === 2);
});

test('the adapters of a deleted team are unloaded, and retry attempts at once', async () => {
  const { team, first } = await twoVersions();
  const server = await vllm();
  const target = await addTarget(services, first, { url: server.url });
  await tag(services, first);
  server.next = [500];
  start({ firstSeconds: 600, longestSeconds: 600 });
  await untilTarget(services, target, ({ state }) => state === 'failing');
  await retryDeployTarget(services, team.id, target.id, by);
  await untilTarget(services, target, ({ state }) => state === 'deployed');
  await services.sql.query('UPDATE teams SET deleted_at = now() WHERE id = $1', [team.id]);
  await until(async () => server.loaded.size === 0);
});

async function until(condition: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 10_000;
  while (!(await condition())) {
    assert.ok(Date.now() < end, 'not in time');
    await sleep(20);
  }
}
