import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { maxEndpoints, type WebhookEvent } from '@graft/wire/lists';
import { graftAdmin } from '../audit/actor.ts';
import { type SealingKeys, seal, unseal } from '../secrets/sealed-secret.ts';
import { SecretRing, type SecretVersion } from '../secrets/secret-ring.ts';
import type { Services } from '../services.ts';
import { createTestTeam, type TestTeam } from '../testing/job-fixtures.ts';
import { openTestServices } from '../testing/open-test-services.ts';
import { pruneDeliveries, spreadEvents } from './deliver/webhook-sender.ts';
import { listDeliveries, resendDelivery } from './deliveries.ts';
import { createWebhook, deleteWebhook, rotateWebhookSecret } from './manage-endpoints.ts';
import { sealedForWebhook } from './seal-secret.ts';

let services: Services;
let team: TestTeam;
before(async () => {
  services = await openTestServices();
  team = await createTestTeam(services);
});
after(async () => await services.close());

const by = graftAdmin;
const input = {
  url: 'https://example.com/hook',
  description: null,
  events: ['fine_tuning.job.failed'] as WebhookEvent[],
};

test('of many creates at once as many succeed as there may be, and another team is not asked', async () => {
  const other = await createTestTeam(services);
  const made = await Promise.allSettled(
    Array.from({ length: maxEndpoints + 12 }, () => createWebhook(services, other.id, input, by)),
  );
  const refused = made.filter((one) => one.status === 'rejected').map(({ reason }) => reason.code);
  assert.deepEqual(new Set(refused), new Set(['too_many_webhooks']));
  assert.equal(refused.length, 12);
  assert.equal(await services.db.webhookEndpoint.count({ where: { teamId: other.id } }), maxEndpoints);
  const { endpoint } = await createWebhook(services, team.id, input, by);
  assert.equal(await deleteWebhook(services, other.id, endpoint.id, by), false);
  assert.equal(await rotateWebhookSecret(services, other.id, endpoint.id, { overlapSeconds: 0 }, by), null);
  assert.equal(await deleteWebhook(services, team.id, endpoint.id, by), true);
});

test('no row holds a secret in the clear, and a row opens under its own name and pepper only', async () => {
  const { endpoint, secret } = await createWebhook(services, team.id, input, by);
  const rotated = await rotateWebhookSecret(services, team.id, endpoint.id, { overlapSeconds: 60 }, by);
  const tables = await services.sql.query<{ name: string }>(
    "SELECT quote_ident(table_name) AS name FROM information_schema.tables WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'",
  );
  const { rows } = await services.sql.query<{ dump: string }>(
    tables.rows
      .map(({ name }) => `SELECT string_agg(t::text, ' ') AS dump FROM ${name} t`)
      .join(' UNION ALL '),
  );
  const dump = rows.map((row) => row.dump).join(' ');
  assert.ok(dump.includes(endpoint.id));
  for (const each of [secret, rotated!.secret]) {
    const raw = Buffer.from(each.replace('whsec_', ''), 'base64');
    for (const form of [each, each.slice(6), raw.toString('hex'), Buffer.from(each).toString('hex')]) {
      assert.equal(dump.includes(form), false);
    }
  }
  const owner = { teamId: team.id, endpointId: endpoint.id, id: 'whsk-1' };
  const ring = (name: 'pepper' | 'sealing', ...versions: SecretVersion[]) => new SecretRing(name, versions);
  const one = { version: 1, secret: 'a pepper of a test' };
  const two = { version: 2, secret: 'another pepper' };
  const both = (pepper: SecretRing) => ({ pepper, sealing: pepper });
  const mine = both(ring('pepper', one));
  const sealed = seal(mine, sealedForWebhook(owner), secret);
  assert.equal(sealed.sealedBy, 'pepper:1');
  const open = async (keys: SealingKeys, from = owner) => await unseal(keys, sealedForWebhook(from), sealed);
  assert.equal(await open(mine), secret);
  assert.equal(await open(both(ring('pepper', two, one))), secret);
  assert.equal(await open({ ...mine, sealing: ring('sealing', two) }), secret, 'by the pepper, as before');
  assert.equal(await open(both(ring('pepper', { ...two, version: 1 }))), null);
  assert.equal(await open(both(ring('pepper', two))), null);
  assert.equal(await open(mine, { ...owner, endpointId: 'whep-2' }), null);
  const newer = seal({ ...mine, sealing: ring('sealing', two) }, sealedForWebhook(owner), secret);
  await assert.rejects(unseal(mine, sealedForWebhook(owner), newer), { code: 'secrets_outdated' });
  sealed.sealed[40]! ^= 1;
  assert.equal(await open(mine), null);
});

test('rotated repeatedly, no secret is removed before its time, and few sign', async () => {
  const { endpoint } = await createWebhook(services, team.id, input, by);
  const rotate = (overlapSeconds: number) =>
    rotateWebhookSecret(services, team.id, endpoint.id, { overlapSeconds }, by);
  const made = await Promise.allSettled([rotate(60), rotate(60), rotate(60), rotate(60)]);
  const refused = made.filter((one) => one.status === 'rejected').map(({ reason }) => reason.code);
  assert.deepEqual(refused, ['too_many_webhook_secrets', 'too_many_webhook_secrets']);
  const living = () =>
    services.db.webhookSecret.findMany({ where: { endpointId: endpoint.id }, orderBy: { createdAt: 'asc' } });
  assert.deepEqual(
    (await living()).map(({ expiresAt }) => expiresAt === null),
    [false, false, true],
  );
  // For a leaked secret.
  await rotate(0);
  assert.equal((await living()).length, 1);
});

test('old deliveries are removed in batches, and pending ones stay', async () => {
  const { endpoint } = await createWebhook(services, team.id, input, by);
  const data = { teamId: team.id, topic: 'fine_tuning.job.failed', payload: { id: 'ftjob-1' } };
  await services.db.outbox.createMany({ data: Array.from({ length: 25 }, () => data) });
  while ((await spreadEvents(services, { retrySeconds: 60 })) > 0);
  const { data: deliveries } = await listDeliveries(services, team.id, endpoint.id, { limit: 50 });
  assert.equal(deliveries.length, 25);
  await services.db.outbox.create({ data });
  await services.sql.query("UPDATE outbox SET delivered_at = delivered_at - interval '8 days'");
  await services.sql.query(
    `UPDATE webhook_deliveries SET status = 'delivered', ended_at = now() - interval '31 days' WHERE id <> $1`,
    [deliveries[0]!.id],
  );
  assert.equal((await pruneDeliveries(services, { batch: 4, batches: 2 })).outbox, 8);
  const rest = await pruneDeliveries(services, { batch: 4, batches: 50 });
  assert.ok(rest.outbox >= 17);
  assert.equal(rest.deliveries + 8 >= 24, true);
  const left = await listDeliveries(services, team.id, endpoint.id, { limit: 50 });
  assert.deepEqual(
    left.data.map(({ id, status }) => [id, status]),
    [[deliveries[0]!.id, 'pending']],
  );
  assert.equal(await services.db.outbox.count(), 1);
});

test('a delivery of another team or endpoint is not resent', async () => {
  const one = await createWebhook(services, team.id, input, by);
  const two = await createWebhook(services, team.id, input, by);
  const other = await createTestTeam(services);
  await services.db.outbox.create({
    data: { teamId: team.id, topic: 'fine_tuning.job.failed', payload: { id: 'ftjob-2' } },
  });
  await spreadEvents(services, { retrySeconds: 60 });
  const { data } = await listDeliveries(services, team.id, one.endpoint.id, { limit: 1 });
  const { id } = data[0]!;
  assert.equal(await resendDelivery(services, other.id, one.endpoint.id, id, by), null);
  assert.equal(await resendDelivery(services, team.id, two.endpoint.id, id, by), null);
  assert.equal((await resendDelivery(services, team.id, one.endpoint.id, id, by))!.status, 'pending');
});
