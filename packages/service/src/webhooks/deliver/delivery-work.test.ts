import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Services } from '../../services.ts';
import { createTestJob, createTestTeam } from '../../testing/job-fixtures.ts';
import { openTestServices } from '../../testing/open-test-services.ts';
import { listDeliveries } from '../deliveries.ts';
import { createWebhook } from '../manage-endpoints.ts';
import { claimDeliveries, recordFailure } from './delivery-work.ts';
import { spreadEvents } from './webhook-sender.ts';

let services: Services;
before(async () => {
  services = await openTestServices({ env: { GRAFT_WEBHOOK_ALLOW: '127.0.0.1' } });
});
after(async () => await services.close());

test('of two claims with one number, where a failover of Postgres has lost the first, the second alone records', async () => {
  const team = await createTestTeam(services);
  const input = {
    url: 'http://127.0.0.1:9/',
    description: null,
    events: ['fine_tuning.job.cancelled' as const],
  };
  const { endpoint } = await createWebhook(services, team.id, input, { keyId: team.keyId });
  await createTestJob(services, team, 'cancelled');
  while ((await spreadEvents(services, { retrySeconds: 3_600 })) > 0);
  const limits = { count: 100, perEndpoint: 4, perTeam: 8, keptForOthers: 0, leaseSeconds: 3_600 };
  const claim = async () =>
    (await claimDeliveries(services, limits)).find(({ teamId }) => teamId === team.id)!;
  const lost = await claim();
  // The row on a standby that became the primary before it received the claim.
  await services.sql.query('UPDATE webhook_deliveries SET attempts = 0, lease_until = NULL WHERE id = $1', [
    lost.id,
  ]);
  const claimed = await claim();
  assert.deepEqual([claimed.id, claimed.attempt], [lost.id, lost.attempt]);
  const record = async (one: typeof claimed) => {
    const failure = { status: 500, reason: 'late', retryAfter: null };
    await recordFailure(services, one, failure, { firstSeconds: 1, longestSeconds: 1, endpointSeconds: 1 });
    const { data } = await listDeliveries(services, team.id, endpoint.id, { limit: 1 });
    return data[0]!.lastError;
  };
  assert.equal(await record(lost), null);
  assert.equal(await claim(), undefined, 'the second still has it');
  assert.equal(await record(claimed), 'late');
});

test('the last places are kept for teams to which nothing is being sent', async () => {
  await services.sql.query("UPDATE webhook_deliveries SET status = 'failed', ended_at = now()");
  const withDeliveries = async () => {
    const team = await createTestTeam(services);
    for (let i = 0; i < 3; i++) {
      const input = {
        url: 'http://127.0.0.1:9/',
        description: null,
        events: ['fine_tuning.job.cancelled' as const],
      };
      await createWebhook(services, team.id, input, { keyId: team.keyId });
    }
    await createTestJob(services, team, 'cancelled');
    while ((await spreadEvents(services, { retrySeconds: 3_600 })) > 0);
    return team.id;
  };
  const claim = async (count: number) => {
    const limits = { count, perEndpoint: 4, perTeam: 8, keptForOthers: 2, leaseSeconds: 3_600 };
    return (await claimDeliveries(services, limits)).map(({ teamId }) => teamId);
  };
  const slow = [await withDeliveries(), await withDeliveries()];
  assert.deepEqual((await claim(6)).sort(), [...slow, ...slow].sort());
  assert.deepEqual(await claim(2), []);
  const calm = await withDeliveries();
  assert.deepEqual(await claim(2), [calm]);
});
