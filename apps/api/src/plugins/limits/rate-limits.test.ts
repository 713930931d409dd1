import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createApiKey } from '@graft/service/keys';
import { createScimToken } from '@graft/service/scim';
import { openFenced } from '@graft/service/testing';
import { buildApp } from '../../app.ts';
import { assertError } from '../../testing/assert-error.ts';
import { type ApiBench, answerOf, type Caller, openApiBench } from '../../testing/open-api-bench.ts';

let bench: ApiBench;
let second: Awaited<ReturnType<typeof buildApp>>;
let fenced: ReturnType<typeof openFenced>;
let secondUrl: string;
const rateLimits = { perKey: 20, perAddress: 200, wrongKeysPerAddress: 10, signInsPerAddress: 0 };
const limits = { rateLimits, rateSyncMs: 50 };
before(async () => {
  // Counts are in Postgres, where the test can read them; packages/service tests both stores.
  bench = await openApiBench(limits, { REDIS_URL: '', GRAFT_METRICS_LOOPBACK: 'true' });
  fenced = openFenced(bench.services);
  second = await buildApp({ ...bench.services, ...fenced.database }, limits);
  secondUrl = await second.listen({ host: '127.0.0.1', port: 0 });
});
after(async () => {
  await second?.close();
  await fenced?.close();
  await bench?.close();
});

/** Waits for the next minute if the current one might end before the test does. */
async function roomInMinute(): Promise<void> {
  const left = 60_000 - (Date.now() % 60_000);
  if (left < 25_000) await sleep(left + 50);
}

async function keyOf(team: Caller): Promise<string> {
  return (await createApiKey(bench.services, team.teamId, { name: 'k', role: 'member' })).key;
}

async function ask(url: string, key: string, path = '/v1/files') {
  return await answerOf(await fetch(url + path, { headers: { authorization: `Bearer ${key}` } }));
}

test('requests of a key per minute are limited across all processes, with the remaining number in each response', async () => {
  await roomInMinute();
  const key = await keyOf(bench.acme);
  const first = await ask(bench.url, key);
  assert.equal(first.status, 200);
  const header = (name: string) => first.headers.get(name);
  assert.deepEqual([header('ratelimit-limit'), header('ratelimit-remaining')], ['20', '19']);
  assert.deepEqual(
    [header('x-ratelimit-limit-requests'), header('x-ratelimit-remaining-requests')],
    ['20', '19'],
  );
  assert.match(header('ratelimit-reset')!, /^\d+$/);
  assert.equal(header('x-ratelimit-reset-requests'), `${header('ratelimit-reset')}s`);
  for (let i = 0; i < 11; i++) await ask(bench.url, key);
  // A request to the other process makes it read the first one's counts.
  for (let seen = 0; seen < 12; await sleep(60)) {
    const { rows } = await bench.services.sql.query(
      "SELECT count FROM rate_counts WHERE name LIKE 'key%' ORDER BY count DESC",
    );
    seen = rows[0]?.count ?? 0;
  }
  await ask(secondUrl, key);
  await sleep(500);
  const statuses = [];
  for (let i = 0; i < 10; i++) statuses.push((await ask(secondUrl, key)).status);
  assert.deepEqual(statuses, [...Array(7).fill(200), ...Array(3).fill(429)]);
  const refused = await ask(secondUrl, key);
  assertError(refused, 429, 'rate_limit_exceeded');
  assert.equal(refused.json.error.type, 'rate_limit_error');
  assert.equal(refused.headers.get('retry-after'), refused.headers.get('ratelimit-reset'));
  assert.equal(refused.headers.get('ratelimit-remaining'), '0');
  // Another key, of another team or of the same, has its own count.
  assert.equal((await ask(secondUrl, await keyOf(bench.acme))).status, 200);
  assert.equal((await ask(secondUrl, bench.other.key)).status, 200);
});

test('a directory has as many requests a minute as a key', async () => {
  await roomInMinute();
  const { token } = await createScimToken(bench.services, { name: 'd' });
  for (let i = 0; i < 20; i++) assert.equal((await ask(bench.url, token, '/scim/v2/Schemas')).status, 200);
  const refused = await ask(bench.url, token, '/scim/v2/Schemas');
  assert.equal(refused.status, 429);
  assert.match(refused.headers.get('retry-after')!, /^\d+$/);
});

test('wrong keys are limited by address before Postgres is queried, and recently accepted keys keep working', async (t) => {
  await roomInMinute();
  const known = await keyOf(bench.other);
  assert.equal((await ask(secondUrl, known)).status, 200);
  const wrong = (i: number) => `graft_${String(i).padStart(12, 'a')}_${'b'.repeat(32)}`;
  // Only observes the calls.
  const { mock } = t.mock.method(fenced.database.sql, 'query');
  const lookUps = () =>
    mock.calls.filter(({ arguments: [text] }) => String(text).includes('FROM api_keys')).length;
  for (let i = 0; i < 10; i++) assertError(await ask(secondUrl, wrong(i)), 401, 'invalid_api_key');
  assert.equal(lookUps(), 10);
  for (let i = 10; i < 30; i++) {
    const refused = await ask(secondUrl, wrong(i));
    assertError(refused, 429, 'rate_limit_exceeded');
    assert.match(refused.headers.get('retry-after')!, /^\d+$/);
  }
  assert.equal(lookUps(), 10);
  assert.equal((await ask(secondUrl, known)).status, 200);
});

test('requests of an address are limited, with any keys and without; health is always answered', async () => {
  await roomInMinute();
  let refused = 0;
  for (let i = 0; i < 260; i++) if ((await fetch(`${bench.url}/v1/files`)).status === 429) refused++;
  assert.ok(refused >= 60, String(refused));
  assertError(await answerOf(await fetch(`${bench.url}/docs/json`)), 429, 'rate_limit_exceeded');
  for (const path of ['/healthz', '/readyz', '/metrics'])
    assert.equal((await fetch(bench.url + path)).status, 200, path);
});
