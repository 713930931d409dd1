import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { cancelJob } from '../jobs/transitions/user-requests.ts';
import type { Services } from '../services.ts';
import { createTestJob, createTestTeam, type TestTeam } from '../testing/job-fixtures.ts';
import { openTestServices } from '../testing/open-test-services.ts';
import { createFile, deleteFile, getFile, listFiles } from './file-records.ts';

let services: Services;
let team: TestTeam;
let other: TestTeam;
before(async () => {
  services = await openTestServices();
  team = await createTestTeam(services);
  other = await createTestTeam(services);
});
after(async () => await services.close());

test('a file belongs to its team', async () => {
  const file = await getFile(services, team.id, team.fileId);
  assert.deepEqual(
    [file!.filename, file!.format, file!.examples, typeof file!.bytes],
    ['train.jsonl', 'chat', 2, 'number'],
  );
  assert.equal(await getFile(services, other.id, team.fileId), null);
  assert.equal(await deleteFile(services, other.id, team.fileId, { keyId: 'key-test' }), false);
  assert.ok(await getFile(services, team.id, team.fileId));
});

test('lists go either way and by purpose', async () => {
  const mine = await createTestTeam(services);
  const ids = [mine.fileId];
  for (const purpose of ['fine-tune', 'fine-tune-results'] as const) {
    const file = {
      filename: 'f',
      purpose,
      bytes: 2 ** 40,
      sha256: 'x',
      path: `p-${purpose}`,
      status: 'processed',
      format: null,
      examples: null,
      keyId: 'key-test',
    } as const;
    ids.push((await createFile(services, mine.id, file)).id);
  }
  const list = async (options: object) =>
    (await listFiles(services, mine.id, { order: 'asc', limit: 10, ...options })).data.map(({ id }) => id);
  assert.deepEqual(await list({}), ids);
  assert.deepEqual(await list({ order: 'desc' }), ids.toReversed());
  assert.deepEqual(await list({ after: ids[0] }), ids.slice(1));
  assert.deepEqual(await list({ purpose: 'fine-tune-results' }), [ids[2]]);
  assert.deepEqual(
    await list({ purpose: 'fine-tune-results', after: ids[1] }),
    [ids[2]],
    'after another purpose',
  );
  await services.sql.query('UPDATE files SET created_at = now() WHERE team_id = $1', [mine.id]);
  const page = async (after?: string) => await list({ limit: 1, after });
  const [first] = await page();
  const [second] = await page(first);
  const [third] = await page(second);
  assert.deepEqual([first, second, third], ids.toSorted(), 'of one moment: by id');
  assert.deepEqual(await page(third), []);
  assert.equal((await getFile(services, mine.id, ids[2]!))!.bytes, 2 ** 40);
});

test('a file goes with its bytes, unless a job still needs it', async () => {
  const job = await createTestJob(services, team, 'queued');
  const file = (await getFile(services, team.id, team.fileId))!;
  await assert.rejects(deleteFile(services, team.id, file.id, { keyId: 'key-test' }), {
    code: 'file_in_use',
  });
  await services.files.localPath(file, 'ftjob-1');
  await cancelJob(services, team.id, job.id, { keyId: 'key-test' });
  assert.equal(await deleteFile(services, team.id, file.id, { keyId: team.keyId }), true);
  await assert.rejects(services.files.localPath(file, 'ftjob-1'), { code: 'file_missing' });
  assert.equal(await deleteFile(services, team.id, file.id, { keyId: 'key-test' }), false);
  assert.equal(await services.db.auditEntry.count({ where: { target: file.id, action: 'file.delete' } }), 1);
});
