import assert from 'node:assert/strict';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { deleteFineTunedModel } from '../adapters/delete-fine-tuned-model.ts';
import { leaseOf } from '../jobs/job.ts';
import { publishAdapterVersion } from '../jobs/transitions/publish-adapter-version.ts';
import type { Services } from '../services.ts';
import { createTestJob, createTestTeam, testAdapter } from '../testing/job-fixtures.ts';
import { openTestServices } from '../testing/open-test-services.ts';
import { collectGarbage } from './collect-garbage.ts';

let services: Services;
before(async () => {
  services = await openTestServices();
});
after(async () => await services.close());

const day = 24 * 3600 * 1000;

async function publishFile(name: string) {
  const folder = await services.artifacts.stage(`ftjob-${name}`, 1);
  await writeFile(path.join(folder, name), name);
  return await services.artifacts.publish(folder);
}

test('what no row needs goes after a day; what one needs stays', async () => {
  const team = await createTestTeam(services);
  const running = await createTestJob(services, team, 'running');
  const finished = await createTestJob(services, team, 'cancelled');
  for (const folder of [
    `staging/${running.id}/1`,
    `checkpoints/${running.id}`,
    `checkpoints/${finished.id}`,
    'staging/ftjob-gone',
  ]) {
    await mkdir(path.join(services.env.dataDir, folder), { recursive: true });
  }
  await writeFile(path.join(services.env.dataDir, 'files/incoming/cut-off'), 'x');
  const used = await publishFile('used');
  const unused = await publishFile('unused');
  const { version } = (await publishAdapterVersion(services, leaseOf(running), { ...testAdapter, ...used }))!;
  const live = await createTestJob(services, team, 'running');
  await mkdir(path.join(services.env.dataDir, `checkpoints/${live.id}`), { recursive: true });

  assert.deepEqual(await collectGarbage(services), { artifacts: 0, folders: 0 }, 'not yet');
  const { artifacts } = await collectGarbage(services, Date.now() + day + 1000);
  assert.equal(artifacts, 1);
  await services.artifacts.localFolder(used.digest);
  await assert.rejects(services.artifacts.localFolder(unused.digest), { code: 'artifact_missing' });
  const list = async (folder: string) => await readdir(path.join(services.env.dataDir, folder));
  assert.deepEqual(await list('checkpoints'), [live.id]);
  assert.deepEqual([await list('staging'), await list('files/incoming')], [[], []]);

  await deleteFineTunedModel(services, team.id, version.modelName, { keyId: null });
  assert.equal((await collectGarbage(services, Date.now() + day + 1000)).artifacts, 1);
});
