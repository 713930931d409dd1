import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { findFineTunedModel } from '../adapters/read-adapters.ts';
import { dataFolder } from '../data-folder/data-folder.ts';
import { getFile } from '../files/file-records.ts';
import { leaseOf } from '../jobs/job.ts';
import { listEvents } from '../jobs/records/read-job-history.ts';
import { publishAdapterVersion } from '../jobs/transitions/publish-adapter-version.ts';
import type { Services } from '../services.ts';
import { openStores } from '../storage/open-stores.ts';
import { createTestJob, createTestTeam, type TestTeam, testAdapter } from '../testing/job-fixtures.ts';
import { openTestServices } from '../testing/open-test-services.ts';
import { collectGarbage } from './collect-garbage.ts';
import { collectLocal } from './collect-local.ts';
import { scrubObjects } from './job-loops.ts';
import { isDamage, reportCorruption } from './report-corruption.ts';

let services: Services;
let team: TestTeam;
before(async () => {
  services = await openTestServices();
  team = await createTestTeam(services);
});
after(async () => await services?.close());

const weekly = { bytesPerSecond: 2 ** 30, passMs: 60_000, againMs: 7 * 24 * 3600 * 1000 };

async function publish(content: string) {
  const job = await createTestJob(services, team, 'running');
  const folder = await services.artifacts.stage(job.id, 1);
  await writeFile(path.join(folder, 'a.txt'), content);
  const stored = await services.artifacts.publish(folder);
  return (await publishAdapterVersion(services, leaseOf(job), { ...testAdapter, ...stored }))!.version;
}

test('what was never read is read once, then not again for a week', async () => {
  await publish('one');
  await publish('two');
  assert.deepEqual(await scrubObjects(services, weekly), { read: 3, damaged: 0 });
  assert.deepEqual(await scrubObjects(services, weekly), { read: 0, damaged: 0 });
  await services.db.adapterVersion.updateMany({ data: { verifiedAt: new Date(0) } });
  assert.deepEqual(await scrubObjects(services, weekly), { read: 2, damaged: 0 });
});

test('damage is reported once, remembered, and forgotten when it is repaired', async () => {
  const version = await publish('flips');
  const file = path.join(dataFolder(services.env.dataDir).artifact(version.artifact), 'a.txt');
  const upload = dataFolder(services.env.dataDir).file((await getFile(services, team.id, team.fileId))!.path);
  const bytes = await readFile(upload);
  await writeFile(file, 'flipt');
  await rm(upload);
  await services.db.adapterVersion.updateMany({ data: { verifiedAt: null } });
  await services.db.file.updateMany({ data: { verifiedAt: null } });
  assert.deepEqual(await scrubObjects(services, weekly), { read: 4, damaged: 2 });

  const damaged = async () => [
    (await findFineTunedModel(services, team.id, version.modelName))!.corruptAt !== null,
    (await getFile(services, team.id, team.fileId))!.corruptAt !== null,
  ];
  const audit = async () =>
    (
      await services.db.auditEntry.findMany({
        where: { action: { endsWith: '.corrupt' } },
        orderBy: { id: 'asc' },
      })
    ).map(({ target, detail }) => [target, (detail as { code: string }).code]);
  const events = async () =>
    (await listEvents(services, team.id, version.jobId!, { limit: 100 })).data.filter(({ message }) =>
      message.includes('damaged'),
    );
  assert.deepEqual(await damaged(), [true, true]);
  const once = [
    [team.fileId, 'file_missing'],
    [version.id, 'artifact_corrupt'],
  ];
  assert.deepEqual(await audit(), once);
  assert.equal((await events()).length, 1);
  await services.db.adapterVersion.updateMany({ data: { verifiedAt: new Date(0) } });
  assert.deepEqual(await scrubObjects(services, weekly), { read: 3, damaged: 1 });
  assert.deepEqual([await audit(), (await events()).length], [once, 1]);

  await writeFile(file, 'flips');
  await writeFile(upload, bytes);
  await services.db.adapterVersion.updateMany({ data: { verifiedAt: new Date(0) } });
  await services.db.file.updateMany({ data: { verifiedAt: new Date(0) } });
  assert.deepEqual(await scrubObjects(services, weekly), { read: 4, damaged: 0 });
  assert.deepEqual(await damaged(), [false, false]);
});

test('what cannot be read is neither damaged nor in the way of the others', async () => {
  const [first, second] = [await publish('cannot be read'), await publish('can be read')];
  const folder = dataFolder(services.env.dataDir).artifact(first.artifact);
  await rename(folder, `${folder}.aside`);
  // A link to itself: a file system error that root gets too.
  await symlink(folder, folder);
  await assert.rejects(scrubObjects(services, weekly), { code: 'ELOOP' });
  const read = async ({ modelName }: { modelName: string }) =>
    (await findFineTunedModel(services, team.id, modelName))!;
  assert.ok((await read(second)).verifiedAt);
  assert.deepEqual([(await read(first)).verifiedAt, (await read(first)).corruptAt], [null, null]);
  await rm(folder);
  await rename(`${folder}.aside`, folder);
  assert.deepEqual(await scrubObjects(services, weekly), { read: 1, damaged: 0 });
});

test('the rate bounds the reading, and a signal ends a pass', async () => {
  await services.db.adapterVersion.updateMany({ data: { verifiedAt: null } });
  const stop = new AbortController();
  const started = performance.now();
  const pass = scrubObjects(services, { ...weekly, bytesPerSecond: 1, signal: stop.signal });
  setTimeout(() => stop.abort(new Error('stopped')), 300);
  await assert.rejects(pass, { name: 'AbortError' });
  assert.ok(performance.now() - started < 60_000);
});

test('a process with another folder finds nothing missing in it, and removes nothing from it', async (t) => {
  const version = await publish('elsewhere');
  await scrubObjects(services, weekly);
  const dataDir = await mkdtemp(path.join(tmpdir(), 'graft-wrong-'));
  t.after(() => rm(dataDir, { recursive: true }));
  const wrong = {
    ...services,
    env: { ...services.env, dataDir },
    ...(await openStores({ ...services.env, dataDir })),
  };
  t.after(() => wrong.close());
  await services.db.adapterVersion.updateMany({ data: { verifiedAt: null } });
  await services.db.file.updateMany({ data: { verifiedAt: null } });
  await assert.rejects(scrubObjects(wrong, weekly), /is not the data folder of this installation/);

  const files = dataFolder(dataDir);
  const stranger = path.join(files.staging, 'ftjob-of-another-installation');
  await mkdir(stranger, { recursive: true });
  await utimes(stranger, 0, 0);
  await assert.rejects(collectLocal(wrong), /is not the data folder/);
  await assert.rejects(collectGarbage(wrong), /is not the data folder/);
  assert.ok((await stat(stranger)).isDirectory());

  const { teamId, id, jobId, modelName } = version;
  const missing = await wrong.artifacts.verify(version.artifact, weekly).catch((error: unknown) => error);
  assert.ok(isDamage(missing));
  const row = { kind: 'artifact', teamId, id, jobId, modelName } as const;
  assert.equal(await reportCorruption(wrong, row, missing), false);
  assert.equal((await findFineTunedModel(services, teamId, modelName))!.corruptAt, null);
  assert.equal((await scrubObjects(services, weekly)).damaged, 0);
});
