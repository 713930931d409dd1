import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { leaseOf } from '../jobs/job.ts';
import { publishAdapterVersion } from '../jobs/transitions/publish-adapter-version.ts';
import type { Services } from '../services.ts';
import { createTestJob, createTestTeam, type TestTeam, testAdapter } from '../testing/job-fixtures.ts';
import { openTestServices } from '../testing/open-test-services.ts';
import type { AdapterVersion } from './adapter.ts';
import { deleteFineTunedModel } from './delete-adapters.ts';
import {
  findFineTunedModel,
  getAdapter,
  getAdapterVersion,
  listAdapters,
  listAdapterVersions,
  listFineTunedModels,
} from './read-adapters.ts';

let services: Services;
let team: TestTeam;
let other: TestTeam;
let versions: AdapterVersion[];
before(async () => {
  services = await openTestServices();
  team = await createTestTeam(services);
  other = await createTestTeam(services);
  versions = [];
  for (const suffix of ['one', 'one', 'two']) {
    const job = await createTestJob(services, team, 'running', { suffix });
    versions.push((await publishAdapterVersion(services, leaseOf(job), testAdapter))!.version);
  }
});
after(async () => await services.close());

test('a team reads its adapters and versions, and no other does', async () => {
  const [first, second, third] = versions as [AdapterVersion, AdapterVersion, AdapterVersion];
  const { data } = await listAdapters(services, team.id, { limit: 10 });
  assert.deepEqual(
    data.map(({ name, latestVersion }) => [name, latestVersion]),
    [
      ['two', 1],
      ['one', 2],
    ],
  );
  assert.deepEqual(await getAdapter(services, team.id, third.adapterId), data[0]);
  const all = { limit: 10 };
  assert.deepEqual(await listAdapterVersions(services, team.id, first.adapterId, all), {
    data: [second, first],
    hasMore: false,
  });
  const page = await listAdapterVersions(services, team.id, first.adapterId, { limit: 1 });
  assert.deepEqual(page, { data: [second], hasMore: true });
  const rest = await listAdapterVersions(services, team.id, first.adapterId, { limit: 1, after: second.id });
  assert.deepEqual(rest, { data: [first], hasMore: false });
  await assert.rejects(
    listAdapterVersions(services, team.id, first.adapterId, { limit: 1, after: third.id }),
    { code: 'invalid_cursor' },
    'a version of another adapter',
  );
  assert.deepEqual(await getAdapterVersion(services, team.id, first.adapterId, 1), first);
  assert.equal(await getAdapterVersion(services, team.id, first.adapterId, 3), null);
  const models = await listFineTunedModels(services, team.id, { limit: 2 });
  assert.deepEqual(
    models.data.map(({ modelName, baseModel, number }) => [modelName, baseModel, number]),
    [third, second].map(({ modelName, baseModel, number }) => [modelName, baseModel, number]),
  );
  assert.equal(models.hasMore, true);
  const next = await listFineTunedModels(services, team.id, { limit: 2, after: second.modelName });
  assert.deepEqual([next.data.map(({ jobId }) => jobId), next.hasMore], [[first.jobId], false]);

  assert.deepEqual((await listAdapters(services, other.id, { limit: 10 })).data, []);
  assert.equal(await getAdapter(services, other.id, first.adapterId), null);
  assert.deepEqual((await listAdapterVersions(services, other.id, first.adapterId, all)).data, []);
  assert.equal(await getAdapterVersion(services, other.id, first.adapterId, 1), null);
  assert.equal(await findFineTunedModel(services, other.id, first.modelName), null);
  assert.deepEqual((await listFineTunedModels(services, other.id, all)).data, []);
  await assert.rejects(listFineTunedModels(services, other.id, { limit: 2, after: second.modelName }), {
    code: 'invalid_cursor',
  });
});

test('deleting a model removes its version, and the adapter with the last one', async () => {
  const [first, second] = versions as [AdapterVersion, AdapterVersion];
  const remove = (teamId: string, name: string) =>
    deleteFineTunedModel(services, teamId, name, { keyId: 'key-test' });
  assert.equal(await remove(other.id, first.modelName), false);
  assert.equal(await remove(team.id, second.modelName), true);
  assert.equal(await remove(team.id, second.modelName), false);
  assert.equal((await getAdapter(services, team.id, first.adapterId))!.latestVersion, 1);
  assert.equal(await remove(team.id, first.modelName), true);
  assert.equal(await getAdapter(services, team.id, first.adapterId), null);
});

test('an adapter stays when a version of it is published while the last other one is deleted', async () => {
  const publish = async () => {
    const job = await createTestJob(services, team, 'running', { suffix: 'three' });
    return (await publishAdapterVersion(services, leaseOf(job), testAdapter))!.version;
  };
  const [old, fresh] = [await publish(), await publish()];
  // `fresh` as it is just before its publication commits: the adapter is locked and the row is invisible to other transactions.
  const { rows } = await services.sql.query('DELETE FROM adapter_versions WHERE id = $1 RETURNING *', [
    fresh.id,
  ]);
  const publication = await services.sql.connect();
  await publication.query('BEGIN');
  await publication.query('UPDATE adapters SET name = name WHERE id = $1', [fresh.adapterId]);
  await publication.query(
    'INSERT INTO adapter_versions SELECT * FROM json_populate_record(NULL::adapter_versions, $1)',
    [JSON.stringify(rows[0])],
  );
  const deletion = deleteFineTunedModel(services, team.id, old.modelName, { keyId: 'key-test' });
  await waitForLock(services);
  await publication.query('COMMIT');
  publication.release();
  assert.equal(await deletion, true);
  const { data } = await listAdapterVersions(services, team.id, fresh.adapterId, { limit: 10 });
  assert.deepEqual(data, [fresh]);
});

/** Waits until a connection to this database waits for a lock. */
async function waitForLock({ sql }: Services): Promise<void> {
  const waiting = `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  while ((await sql.query(waiting)).rowCount === 0) await sleep(10);
}
