/** Loads adapters into a server that answers as SGLang does. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Services } from '../../services.ts';
import { createTestTeam } from '../../testing/job-fixtures.ts';
import { openTestServices } from '../../testing/open-test-services.ts';
import {
  addTarget,
  publishVersion,
  quick,
  sharedFolder,
  tag,
  untilTarget,
} from '../testing/deployed-adapter.ts';
import type { RuntimeServer } from '../testing/runtime-server.ts';
import { openSglangServer } from '../testing/sglang-server.ts';
import { startDeploySender } from './deploy-sender.ts';

let services: Services;
let shared: string;
let server: RuntimeServer;
let sender: { close(): Promise<void> };

before(async () => {
  shared = await sharedFolder();
  services = await openTestServices({
    env: { GRAFT_DEPLOY_ALLOW: '*=127.0.0.1:*', GRAFT_DEPLOY_FOLDER: shared },
  });
  sender = startDeploySender(services, quick);
});
afterEach(async () => {
  await server.close();
  await services.sql.query('DELETE FROM deploy_targets');
});
after(async () => {
  await sender?.close();
  await services?.close();
  await rm(shared, { recursive: true, force: true });
});

test('a tag moves under one name and with versioned names; an evicted adapter is loaded again', async () => {
  server = await openSglangServer({ maxLoaded: 2 });
  const team = await createTestTeam(services);
  const versions = [await publishVersion(services, team), await publishVersion(services, team)];
  const of = { runtime: 'sglang', url: server.url } as const;
  const one = await addTarget(services, versions[0]!, { ...of, versionedNames: false });
  const each = await addTarget(services, versions[0]!, { ...of, modelName: 'each' });
  for (const version of versions) {
    await tag(services, version);
    for (const target of [one, each])
      await untilTarget(
        services,
        target,
        (now) => now.deployedVersion === version.number && now.state === 'deployed',
      );
    while (server.loaded.size > 2) await sleep(20);
  }
  assert.deepEqual([...server.loaded.keys()].sort(), ['each-v2', 'support']);
  assert.match(server.loaded.get('support')!, /\/v2-/);
  server.loaded.delete('each-v2');
  while (!server.loaded.has('each-v2')) await sleep(20);
});

test('reasons say what to do at the runtime', async () => {
  const team = await createTestTeam(services);
  const plain = await publishVersion(services, team);
  const matched = await publishVersion(services, team, { target_modules: '.*q_proj' });
  const cases: [Parameters<typeof openSglangServer>[0], typeof plain, RegExp][] = [
    [{ enableLora: false }, plain, /start SGLang with --enable-lora/],
    [{ maxRank: 4 }, plain, /larger --max-lora-rank and with --lora-target-modules all/],
    [{}, matched, /^SGLang does not hold Version 2/],
  ];
  for (const [options, version, reason] of cases) {
    server = await openSglangServer(options);
    const target = await addTarget(services, version, { runtime: 'sglang', url: server.url });
    await tag(services, version);
    assert.match((await untilTarget(services, target, ({ state }) => state === 'failing')).reason!, reason);
    await server.close();
  }
  server = await openSglangServer();
  const target = await addTarget(services, plain, {
    runtime: 'sglang',
    url: server.url,
    folder: '/elsewhere',
  });
  await tag(services, plain);
  const missing = await untilTarget(services, target, ({ reason }) => /cannot read/.test(reason ?? ''));
  assert.match(missing.reason!, /^It cannot read \/elsewhere\/dpt-/);
});
