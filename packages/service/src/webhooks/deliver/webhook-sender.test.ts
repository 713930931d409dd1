import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type WebhookEvent, webhookEvents } from '@graft/wire/lists';
import { Webhook } from 'standardwebhooks';
import type { Actor } from '../../audit/actor.ts';
import { type Job, leaseOf } from '../../jobs/job.ts';
import { failJob } from '../../jobs/transitions/fail-job.ts';
import { cancelJob, pauseJob } from '../../jobs/transitions/user-requests.ts';
import type { Services } from '../../services.ts';
import { createTestJob, createTestTeam, type TestTeam, userFault } from '../../testing/job-fixtures.ts';
import { openTestServices } from '../../testing/open-test-services.ts';
import { listDeliveries, resendDelivery, testWebhook } from '../deliveries.ts';
import { createWebhook, getWebhook, rotateWebhookSecret, updateWebhook } from '../manage-endpoints.ts';
import { openReceiver, type Received } from '../testing/receiver.ts';
import { claimDeliveries, recordFailure } from './delivery-work.ts';
import { spreadEvents, startWebhookSender, type WebhookSettings } from './webhook-sender.ts';

let services: Services;
let team: TestTeam;
let by: Actor;
before(async () => {
  services = await openTestServices({ env: { GRAFT_WEBHOOK_ALLOW: '127.0.0.1' } });
});
beforeEach(async () => {
  team = await createTestTeam(services);
  by = { keyId: team.keyId };
});
after(async () => await services.close());

const quick: Partial<WebhookSettings> = {
  pollMs: 10,
  firstSeconds: 0.02,
  longestSeconds: 0.05,
  endpointSeconds: 0.05,
  // Long, because answers are late on a machine that freezes for a second.
  connectMs: 20_000,
  wholeMs: 25_000,
  sweepMs: 50,
};

async function startSender(
  t: { after(work: () => Promise<void>): void },
  more: Partial<WebhookSettings> = {},
) {
  const sender = startWebhookSender(services, { ...quick, ...more });
  t.after(async () => await sender.close());
  return sender;
}

async function addEndpoint(url: string, events: readonly WebhookEvent[] = webhookEvents, owner = team) {
  const input = { url, description: null, events: [...events] };
  const { endpoint, secret } = await createWebhook(services, owner.id, input, { keyId: owner.keyId });
  return { id: endpoint.id, secret, owner };
}

type Endpoint = Awaited<ReturnType<typeof addEndpoint>>;

async function runningJob(owner = team): Promise<Job> {
  return await createTestJob(services, owner, 'running');
}

async function deliveriesOf({ id, owner }: Endpoint) {
  return (await listDeliveries(services, owner.id, id, { limit: 100 })).data.toReversed();
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 60_000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`waited in vain: ${what}`);
    await sleep(20);
  }
}

const untilOver = async (endpoint: Endpoint, count: number) =>
  await until(`${count} deliveries are over`, async () => {
    const found = await deliveriesOf(endpoint);
    return found.length === count && found.every(({ status }) => status !== 'pending');
  });

const typesOf = (requests: Received[]) =>
  requests.map(({ event }) => event.type.replace('fine_tuning.job.', ''));

test('what happens to a job arrives, in OpenAI’s form, and the standard library verifies it', async (t) => {
  const receiver = await openReceiver();
  t.after(receiver.close);
  const endpoint = await addEndpoint(receiver.url);
  await startSender(t);
  const succeeded = await createTestJob(services, team, 'succeeded');
  await receiver.until(2);
  await untilOver(endpoint, 2);

  assert.deepEqual(typesOf(receiver.requests), ['running', 'succeeded']);
  for (const { headers, body, event } of receiver.requests) {
    assert.deepEqual(new Webhook(endpoint.secret).verify(body, headers), event);
    assert.deepEqual(Object.keys(event), ['id', 'object', 'created_at', 'type', 'data']);
    assert.match(event.id, /^evt_[0-9a-f]{32}$/);
    assert.equal(headers['webhook-id'], event.id);
    assert.deepEqual([event.object, event.data], ['event', { id: succeeded.id }]);
    assert.ok(Math.abs(event.created_at - Date.now() / 1000) < 60);
    assert.match(headers['webhook-signature']!, /^v1,[A-Za-z0-9+/]{43}=$/);
    const changed = body.replace('ftjob-', 'ftjob_');
    assert.throws(() => new Webhook(endpoint.secret).verify(changed, headers));
  }
  const [first] = await deliveriesOf(endpoint);
  assert.deepEqual(
    [first!.status, first!.attempts, first!.lastStatus, first!.lastError],
    ['delivered', 1, 200, null],
  );
});

test('each endpoint gets what it asks for, and no other team’s', async (t) => {
  const receiver = await openReceiver();
  t.after(receiver.close);
  const failures = await addEndpoint(receiver.url, ['fine_tuning.job.failed']);
  const disabled = await addEndpoint(receiver.url);
  await updateWebhook(services, team.id, disabled.id, { enabled: false }, by);
  const other = await createTestTeam(services);
  const foreign = await addEndpoint(receiver.url, webhookEvents, other);
  await startSender(t);
  const paused = await runningJob();
  await pauseJob(services, team.id, paused.id, by);
  const failed = await createTestJob(services, team, 'failed');
  await cancelJob(services, team.id, (await createTestJob(services, team, 'queued')).id, by);
  await untilOver(failures, 1);
  await until(
    'all is delivered',
    async () => (await services.db.outbox.count({ where: { deliveredAt: null } })) === 0,
  );
  assert.deepEqual(
    (await deliveriesOf(failures)).map(({ type, subject }) => [type, subject]),
    [['fine_tuning.job.failed', failed.id]],
  );
  assert.deepEqual([await deliveriesOf(disabled), await deliveriesOf(foreign)], [[], []]);
  assert.equal(receiver.requests.length, 1);
});

test('a receiver that fails ten times gets each event once when it recovers, in order per job', async (t) => {
  const taken: string[] = [];
  let failures = 0;
  const receiver = await openReceiver(({ event }, response) => {
    if (failures < 10) {
      failures += 1;
      const ways = [500, 503, 429, 404, 302];
      const status = ways[failures % ways.length]!;
      if (failures % 4 === 0) response.destroy();
      else response.writeHead(status, { location: 'http://127.0.0.1:1/' }).end();
      return;
    }
    taken.push(`${event.data.id} ${event.type}`);
    response.writeHead(204).end();
  });
  t.after(receiver.close);
  const endpoint = await addEndpoint(receiver.url);
  await startSender(t);
  // A second, concurrent process.
  await startSender(t);
  const jobs = await Promise.all([1, 2, 3, 4, 5].map(() => runningJob()));
  await receiver.until(3);
  for (const job of jobs) await failJob(services, leaseOf(job), userFault);
  await untilOver(endpoint, 10);
  assert.equal(failures, 10);
  assert.equal(taken.length, 10, 'each event once');
  for (const { id } of jobs) {
    const own = taken.filter((line) => line.startsWith(id));
    assert.deepEqual(own, [`${id} fine_tuning.job.running`, `${id} fine_tuning.job.failed`]);
  }
  const found = await deliveriesOf(endpoint);
  assert.ok(found.every(({ status }) => status === 'delivered'));
  assert.equal(
    found.reduce((sum, { attempts }) => sum + attempts, 0),
    20,
  );
  assert.equal((await getWebhook(services, team.id, endpoint.id))!.failingSince, null);
});

test('a later event of a job waits for the earlier one, and other jobs do not', async (t) => {
  const stuck = await runningJob();
  const receiver = await openReceiver(({ event }, response) => {
    response.writeHead(event.data.id === stuck.id && event.type.endsWith('running') ? 500 : 200).end();
  });
  t.after(receiver.close);
  // No endpoint received what happened before.
  await startSender(t);
  await until(
    'all is delivered',
    async () => (await services.db.outbox.count({ where: { deliveredAt: null } })) === 0,
  );
  const endpoint = await addEndpoint(receiver.url);
  const lease = leaseOf(stuck);
  await services.db.outbox.create({
    data: { teamId: team.id, topic: 'fine_tuning.job.running', payload: { id: stuck.id } },
  });
  await failJob(services, lease, userFault);
  const fine = await createTestJob(services, team, 'failed');
  await until('the other job is delivered', async () =>
    (await deliveriesOf(endpoint)).some(
      ({ subject, status, type }) => subject === fine.id && status === 'delivered' && type.endsWith('failed'),
    ),
  );
  const stuckDeliveries = async () =>
    (await deliveriesOf(endpoint)).filter(({ subject }) => subject === stuck.id);
  assert.deepEqual(
    (await stuckDeliveries()).map(({ status, attempts }) => [status, attempts > 0]),
    [
      ['pending', true],
      ['pending', false],
    ],
  );
  await until('it is tried again', async () => (await stuckDeliveries())[0]!.attempts >= 3);
  // Once failed, it no longer blocks the delivery behind it.
  const [{ id } = { id: '' }] = await stuckDeliveries();
  await services.db.webhookDelivery.update({ where: { id }, data: { expiresAt: new Date() } });
  await until('the earlier has failed', async () =>
    (await stuckDeliveries()).every(({ status }) => status !== 'pending'),
  );
  const [earlier, later] = await stuckDeliveries();
  assert.deepEqual(
    [earlier!.status, earlier!.lastStatus, earlier!.lastError],
    ['failed', 500, 'The receiver answered 500.'],
  );
  assert.deepEqual([later!.status, later!.attempts], ['delivered', 1]);
});

test('an endpoint that fails all the time is disabled and says so; enabled again, it can be resent to', async (t) => {
  const receiver = await openReceiver(500);
  t.after(receiver.close);
  const endpoint = await addEndpoint(receiver.url, ['fine_tuning.job.cancelled']);
  await startSender(t, { retrySeconds: 1 });
  const job = await createTestJob(services, team, 'cancelled');
  const read = async () => (await getWebhook(services, team.id, endpoint.id))!;
  await until('it is disabled', async () => (await read()).disabledAt !== null);
  assert.match(
    (await read()).disabledReason!,
    /^Nothing could be delivered for 1 seconds\. .* answered 500\.$/,
  );
  const audit = await services.db.auditEntry.findFirst({
    where: { target: endpoint.id, action: 'webhook.disable' },
  });
  assert.deepEqual([audit?.teamId, audit?.keyId], [team.id, null]);
  await untilOver(endpoint, 1);
  const [lost] = await deliveriesOf(endpoint);
  assert.equal(lost!.status, 'failed');
  const sent = receiver.requests.length;
  await createTestJob(services, team, 'cancelled');
  await sleep(200);
  assert.equal(receiver.requests.length, sent, 'nothing is sent while it is disabled');

  receiver.answer = 200;
  await updateWebhook(services, team.id, endpoint.id, { enabled: true }, by);
  await resendDelivery(services, team.id, endpoint.id, lost!.id, by);
  await until('it is delivered', async () => (await deliveriesOf(endpoint))[0]!.status === 'delivered');
  const last = receiver.requests.at(-1)!;
  assert.deepEqual([last.event.data.id, last.headers['webhook-id']], [job.id, lost!.eventId]);
});

test('what waits for a disabled endpoint is over with its day, without a last attempt', async (t) => {
  const receiver = await openReceiver(500);
  t.after(receiver.close);
  const endpoint = await addEndpoint(receiver.url, ['fine_tuning.job.cancelled']);
  await startSender(t, { retrySeconds: 3, firstSeconds: 2, longestSeconds: 2 });
  await createTestJob(services, team, 'cancelled');
  await receiver.until(1);
  await updateWebhook(services, team.id, endpoint.id, { enabled: false }, by);
  await untilOver(endpoint, 1);
  const [lost] = await deliveriesOf(endpoint);
  assert.deepEqual([lost!.status, lost!.attempts, receiver.requests.length], ['failed', 1, 1]);
  assert.match(lost!.lastError!, /answered 500/);
});

test('410 disables at once', async (t) => {
  const receiver = await openReceiver(410);
  t.after(receiver.close);
  const endpoint = await addEndpoint(receiver.url);
  await startSender(t);
  assert.ok(await testWebhook(services, team.id, endpoint.id, by));
  await until(
    'it is disabled',
    async () => (await getWebhook(services, team.id, endpoint.id))!.disabledAt !== null,
  );
  assert.match((await getWebhook(services, team.id, endpoint.id))!.disabledReason!, /410 Gone/);
  await assert.rejects(testWebhook(services, team.id, endpoint.id, by), { code: 'webhook_disabled' });
  await sleep(200);
  assert.equal(receiver.requests.length, 1);
});

test('during a rotation both secrets sign; after it the old one does not', async (t) => {
  const receiver = await openReceiver();
  t.after(receiver.close);
  const endpoint = await addEndpoint(receiver.url);
  await startSender(t);
  const rotated = await rotateWebhookSecret(services, team.id, endpoint.id, { overlapSeconds: 3600 }, by);
  assert.notEqual(rotated!.secret, endpoint.secret);
  await testWebhook(services, team.id, endpoint.id, by);
  await receiver.until(1);
  const [both] = receiver.requests;
  assert.equal(both!.headers['webhook-signature']!.split(' ').length, 2);
  for (const secret of [endpoint.secret, rotated!.secret])
    new Webhook(secret).verify(both!.body, both!.headers);

  const last = await rotateWebhookSecret(services, team.id, endpoint.id, { overlapSeconds: 0 }, by);
  await testWebhook(services, team.id, endpoint.id, by);
  await receiver.until(2);
  const [, one] = receiver.requests;
  new Webhook(last!.secret).verify(one!.body, one!.headers);
  for (const secret of [endpoint.secret, rotated!.secret]) {
    assert.throws(() => new Webhook(secret).verify(one!.body, one!.headers), /No matching signature/);
  }
});

test('receivers that never answer keep no other team waiting', async (t) => {
  const silent = await openReceiver(() => {});
  const receiver = await openReceiver();
  t.after(receiver.close);
  const slow = await Promise.all(Array.from({ length: 12 }, () => addEndpoint(silent.url)));
  const other = await createTestTeam(services);
  const fine = await addEndpoint(receiver.url, webhookEvents, other);
  await startSender(t, {
    concurrency: 10,
    perTeam: 8,
    keptForOthers: 2,
    wholeMs: 120_000,
    connectMs: 120_000,
    leaseSeconds: 240,
  });
  await createTestJob(services, team, 'succeeded');
  await silent.until(8);
  await createTestJob(services, other, 'succeeded');
  await untilOver(fine, 2);
  const held = (await Promise.all(slow.map(deliveriesOf))).flat();
  assert.equal(silent.requests.length, 8, 'no more than a team may have under way');
  assert.equal(held.filter(({ attempts, lastError }) => attempts === 1 && lastError === null).length, 8);
  for (const { id } of slow) await updateWebhook(services, team.id, id, { enabled: false }, by);
  await silent.close();
});

test('an answer that never comes, and a body that never ends, are cut off', async (t) => {
  const silent = await openReceiver(() => {});
  const endless = await openReceiver((_, response) => {
    response.writeHead(200);
    const more = setInterval(() => response.write('x'.repeat(8_000)), 1);
    response.on('close', () => clearInterval(more));
  });
  for (const { close } of [silent, endless]) t.after(close);
  const [slow, filled] = [await addEndpoint(silent.url), await addEndpoint(endless.url)];
  await startSender(t, { wholeMs: 1_500 });
  await createTestJob(services, team, 'cancelled');
  await untilOver(filled, 1);
  assert.equal((await deliveriesOf(filled))[0]!.status, 'delivered');
  await until('it is too slow', async () => (await deliveriesOf(slow))[0]!.lastError !== null);
  assert.match((await deliveriesOf(slow))[0]!.lastError!, /^No answer came from the server/);
});

test('what a process had that died is sent by another when its lease is over, and not before', async (t) => {
  const receiver = await openReceiver();
  t.after(receiver.close);
  const endpoint = await addEndpoint(receiver.url, ['fine_tuning.job.cancelled']);
  await createTestJob(services, team, 'cancelled');
  while ((await spreadEvents(services, { retrySeconds: 3_600 })) > 0);
  const claim = async () => {
    const limits = { count: 100, perEndpoint: 4, perTeam: 8, keptForOthers: 0, leaseSeconds: 3_600 };
    return (await claimDeliveries(services, limits)).filter(({ teamId }) => teamId === team.id);
  };
  const [claimed, ...more] = await claim();
  assert.deepEqual([claimed!.endpointId, claimed!.attempt, more], [endpoint.id, 1, []]);
  assert.deepEqual(await claim(), [], 'it is one process’s');
  await startSender(t);
  await sleep(200);
  assert.equal(receiver.requests.length, 0);
  await services.sql.query('UPDATE webhook_deliveries SET lease_until = to_timestamp(0) WHERE id = $1', [
    claimed!.id,
  ]);
  await untilOver(endpoint, 1);
  assert.equal((await deliveriesOf(endpoint))[0]!.attempts, 2);
  // The first process was only frozen, and records its attempt late: nothing changes.
  const failure = { status: 500, reason: 'late', retryAfter: null };
  await recordFailure(services, claimed!, failure, {
    firstSeconds: 1,
    longestSeconds: 1,
    endpointSeconds: 1,
  });
  const [after] = await deliveriesOf(endpoint);
  assert.deepEqual([after!.status, after!.lastError], ['delivered', null]);
  assert.equal((await getWebhook(services, team.id, endpoint.id))!.failingSince, null);
});
