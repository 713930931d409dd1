import assert from 'node:assert/strict';
import { mkdir, readdir, rename, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { deleteFineTunedModel } from '../adapters/delete-adapters.ts';
import { dataFolder } from '../data-folder/data-folder.ts';
import { createFile, deleteFile } from '../files/file-records.ts';
import { randomText } from '../ids.ts';
import { leaseOf } from '../jobs/job.ts';
import { publishAdapterVersion } from '../jobs/transitions/publish-adapter-version.ts';
import type { Services } from '../services.ts';
import { createS3Stores } from '../storage/s3/create-s3-stores.ts';
import { openS3Server } from '../storage/testing/s3-server.ts';
import { createTestJob, createTestTeam, testAdapter } from '../testing/job-fixtures.ts';
import { openTestServices } from '../testing/open-test-services.ts';
import { collectDeleted } from './collect-deleted.ts';
import { collectGarbage } from './collect-garbage.ts';
import { collectLocal } from './collect-local.ts';

let services: Services;
before(async () => {
  services = await openTestServices();
});
after(async () => await services?.close());

const nothing = { files: 0, artifacts: 0, exports: 0, checkpoints: 0 };
const tomorrow = () => new Date(Date.now() + 24 * 3600 * 1000 + 60_000);
const list = async (folder: string) => (await readdir(path.join(services.env.dataDir, folder))).sort();

async function publish(content: string) {
  const folder = await services.artifacts.stage(`ftjob-${randomText(6)}`, 1);
  await writeFile(path.join(folder, 'a.txt'), content);
  return await services.artifacts.publish(folder);
}
async function upload(content = 'x') {
  return await services.files.receive(Readable.from([Buffer.from(content)]), { limit: 1000 });
}
const newFile = {
  filename: 'f',
  purpose: 'fine-tune',
  status: 'processed',
  format: 'text',
  examples: 1,
  keyId: 'key-test',
} as const;

test('what no row needs goes after a day; what one needs stays', async () => {
  const team = await createTestTeam(services);
  const running = await createTestJob(services, team, 'running');
  const finished = await createTestJob(services, team, 'cancelled');
  const live = await createTestJob(services, team, 'running');
  for (const folder of [
    `staging/${running.id}/1`,
    `staging/${live.id}/1`,
    `checkpoints/${live.id}/00000001`,
    `checkpoints/${finished.id}/00000001`,
    'checkpoints/ftjob-gone/00000001',
    'staging/ftjob-gone',
    `cache/held/${live.id}`,
    `cache/held/${finished.id}`,
    'files/incoming',
    'cache/incoming',
  ]) {
    await mkdir(path.join(services.env.dataDir, folder), { recursive: true });
  }
  for (const draft of ['files/incoming/cut-off', 'cache/incoming/cut-off']) {
    await writeFile(path.join(services.env.dataDir, draft), 'x');
  }
  const used = await publish('used');
  const unused = await publish('unused');
  const { version } = (await publishAdapterVersion(services, leaseOf(running), { ...testAdapter, ...used }))!;
  const known = await createFile(services, team.id, { ...newFile, ...(await upload()) });
  const orphan = await upload();

  assert.deepEqual(await collectGarbage(services), { ...nothing, checkpoints: 1 }, 'only what has no job');
  assert.equal(await collectLocal(services), 0);
  assert.deepEqual(await collectGarbage(services, tomorrow()), {
    ...nothing,
    files: 1,
    artifacts: 1,
    checkpoints: 1,
  });
  await services.artifacts.localFolder(used.artifact);
  await assert.rejects(services.artifacts.localFolder(unused.artifact), { code: 'artifact_missing' });
  await services.files.localPath(known, live.id);
  await assert.rejects(services.files.localPath(orphan, live.id), { code: 'file_missing' });

  await collectLocal(services, tomorrow());
  assert.deepEqual(await list('checkpoints'), [live.id]);
  assert.deepEqual(await list('staging'), [live.id]);
  assert.deepEqual(await list('cache/held'), [live.id]);
  assert.deepEqual([await list('files/incoming'), await list('cache/incoming')], [[], []]);

  await deleteFineTunedModel(services, team.id, version.modelName, { keyId: 'key-test' });
  assert.deepEqual(await collectGarbage(services, tomorrow()), nothing, 'it can still be restored');
  await services.artifacts.localFolder(used.artifact);
  const inDays = (days: number) => new Date(Date.now() + days * 24 * 3600 * 1000 + 60_000);
  assert.deepEqual(await collectGarbage(services, inDays(29)), nothing);
  assert.deepEqual(await collectGarbage(services, inDays(30)), { ...nothing, artifacts: 1 });
  assert.equal(await services.db.adapterVersion.count({ where: { teamId: team.id } }), 0);
  assert.equal(
    await services.db.adapter.count({ where: { teamId: team.id } }),
    0,
    'the adapter goes with its last',
  );
});

test('what is deleted leaves the caches of all machines, also of one that was offline; all else stays', async (t) => {
  const server = await openS3Server();
  t.after(async () => await server.close());
  const machines = ['one', 'another'].map((name) => {
    const dataDir = path.join(services.env.dataDir, name);
    const stores = createS3Stores(
      { bucket: server.bucket, prefix: '', endpoint: server.endpoint },
      dataDir,
      2 ** 30,
    );
    const env = { ...services.env, dataDir, artifactsUrl: `s3://${server.bucket}` };
    return { ...services, ...stores, env };
  });
  t.after(() => {
    for (const { close } of machines) close();
  });
  const [one, another] = machines as [Services, Services];
  const cached = async ({ env }: Services) =>
    (await readdir(path.join(env.dataDir, 'cache'), { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) =>
        path.relative(env.dataDir, path.join(entry.parentPath, entry.name)).split('/').slice(0, 3).join('/'),
      )
      .sort();

  const team = await createTestTeam(services);
  const make = async (content: string) => {
    const stored = await one.files.receive(Readable.from([Buffer.from(content)]), { limit: 1000 });
    return await createFile(one, team.id, { ...newFile, ...stored });
  };
  const [erased, kept] = [await make('a secret that is to be forgotten'), await make('kept')];
  const job = await createTestJob(services, team, 'running');
  const [live, over] = [
    await createTestJob(services, team, 'running'),
    await createTestJob(services, team, 'succeeded'),
  ];
  const staged = await one.artifacts.stage(job.id, 1);
  await writeFile(path.join(staged, 'a.txt'), 'an adapter');
  const artifact = await one.artifacts.publish(staged);
  const { version } = (await publishAdapterVersion(services, leaseOf(job), { ...testAdapter, ...artifact }))!;
  for (const machine of machines) {
    for (const file of [erased, kept]) await machine.files.localPath(file, live.id);
    await machine.files.localPath(erased, over.id);
    await machine.artifacts.localFolder(artifact.artifact);
    await mkdir(path.join(machine.env.dataDir, 'checkpoints/ftjob-deleted'), { recursive: true });
  }
  const all = [...new Set(await cached(another))];
  assert.equal(all.length, 5, all.join());
  assert.equal(await collectDeleted(one, { parts: true }), 0, 'nothing is deleted yet');

  assert.equal(await deleteFile(one, team.id, erased.id, { keyId: 'key-test' }), true);
  await deleteFineTunedModel(services, team.id, version.modelName, { keyId: 'key-test' });
  const left = [`cache/files/${kept.sha256}`, `cache/held/${live.id}`];
  const later = new Date(Date.now() + 11 * 60_000);
  await collectDeleted(one, { parts: true, now: later });
  assert.deepEqual([...new Set(await cached(one))], left);
  assert.ok((await cached(another)).length > 2, 'it was offline');
  await collectDeleted(another, { parts: false, now: later });
  assert.deepEqual([...new Set(await cached(another))], left);
  assert.deepEqual(await readdir(path.join(another.env.dataDir, 'checkpoints')), []);
});

test('the deleted versions of an adapter go and the others stay, even with the same files', async () => {
  const team = await createTestTeam(services);
  const stored = await publish('shared');
  const versions = [];
  for (const state of ['running', 'running'] as const) {
    const job = await createTestJob(services, team, state, { suffix: 'kept' });
    versions.push(
      (await publishAdapterVersion(services, leaseOf(job), { ...testAdapter, ...stored }))!.version,
    );
  }
  const [first, second] = versions;
  await deleteFineTunedModel(services, team.id, first!.modelName, { keyId: 'key-test' });
  await collectGarbage(services, new Date(Date.now() + 40 * 24 * 3600 * 1000));
  const left = await services.db.adapterVersion.findMany({ where: { teamId: team.id } });
  assert.deepEqual(
    left.map(({ id }) => id),
    [second!.id],
  );
  await services.artifacts.localFolder(stored.artifact);
});

/** Simulates a collector that freezes after it has found an object without a row, until `meanwhile` is done. */
function frozenBeforeRemoving(meanwhile: () => Promise<void>): Services {
  let done = false;
  const remove = async (name: string) => {
    if (!done) {
      done = true;
      await meanwhile();
    }
    await services.artifacts.remove(name);
  };
  return { ...services, artifacts: { ...services.artifacts, remove } };
}

test('content that is published again while the collector removes it stays', async () => {
  const team = await createTestTeam(services);
  const job = await createTestJob(services, team, 'running');
  const old = await publish('the same');
  let published: Awaited<ReturnType<typeof publishAdapterVersion>> = null;
  let again: Awaited<ReturnType<typeof publish>> | undefined;
  const collector = frozenBeforeRemoving(async () => {
    again = await publish('the same');
    published = await publishAdapterVersion(services, leaseOf(job), { ...testAdapter, ...again });
  });
  // Collects as of a day later: both objects are then older than a day, but the second one has a row.
  assert.equal((await collectGarbage(collector, tomorrow())).artifacts, 1);
  assert.equal(again!.digest, old.digest);
  await assert.rejects(services.artifacts.localFolder(old.artifact), { code: 'artifact_missing' });
  await services.artifacts.localFolder(published!.version.artifact);
  assert.deepEqual(await collectGarbage(services, tomorrow()), nothing);
});

/** Returns the name that the object would have if it had been created this many hours earlier. */
const aged = (name: string, hours: number) =>
  name.replace(/[0-9a-f]{8}$/, (made) =>
    (Number.parseInt(made, 16) - hours * 3600).toString(16).padStart(8, '0'),
  );

test('an object that the collector may remove can be given no row, however late that is asked', async () => {
  const team = await createTestTeam(services);
  const job = await createTestJob(services, team, 'running');
  const folders = dataFolder(services.env.dataDir);
  const made = await publish('frozen publisher');
  const late = { ...made, artifact: aged(made.artifact, 13) };
  await rename(folders.artifact(made.artifact), folders.artifact(late.artifact));
  await assert.rejects(
    publishAdapterVersion(services, leaseOf(job), { ...testAdapter, ...late }),
    /stored too long ago/,
  );
  const soon = { ...made, artifact: aged(made.artifact, 11) };
  await rename(folders.artifact(late.artifact), folders.artifact(soon.artifact));
  assert.ok(await publishAdapterVersion(services, leaseOf(job), { ...testAdapter, ...soon }));

  const file = await upload();
  const path = aged(file.path, 13);
  await assert.rejects(createFile(services, team.id, { ...newFile, ...file, path }), /stored too long ago/);
  const known = await createFile(services, team.id, { ...newFile, ...file });
  await assert.rejects(
    services.db.file.update({ where: { id: known.id }, data: { path } }),
    /stored too long ago/,
  );
});

test('clocks of machines decide nothing: the time in the name and that of Postgres do', async () => {
  const { artifact } = await publish('touched');
  const folder = dataFolder(services.env.dataDir).artifact(artifact);
  await utimes(folder, new Date(0), new Date(0));
  assert.equal((await collectGarbage(services)).artifacts, 0);
  const future = new Date(Date.now() + 48 * 3600 * 1000);
  await utimes(folder, future, future);
  assert.equal((await collectGarbage(services, tomorrow())).artifacts, 1);
});
