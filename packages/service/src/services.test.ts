import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openServices } from './services.ts';
import { openCuttableProxy, openTestServices } from './testing/index.ts';

test('a worker that is started without Postgres waits for it; the others say so and end', async (t) => {
  const services = await openTestServices();
  t.after(() => services.close());
  const proxy = await openCuttableProxy(services.databaseUrl);
  t.after(() => proxy.close());
  await proxy.cut();
  const { log } = services;
  const { internalToken } = services.secrets;
  const env = { ...services.env, internalToken, databaseUrl: proxy.url };
  await assert.rejects(openServices({ role: 'admin', env, log }), /ECONNREFUSED/);

  let isOpen = false;
  const opening = openServices({ role: 'worker', env, log }).finally(() => {
    isOpen = true;
  });
  await sleep(1500);
  assert.equal(isOpen, false);
  await proxy.restore();
  const opened = await opening;
  assert.ok(await opened.db.installation.findFirst());
  await opened.close();
});
