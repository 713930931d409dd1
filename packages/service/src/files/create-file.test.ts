import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { pino } from 'pino';
import { connectDatabase, type Database } from '../database/database.ts';
import type { Services } from '../services.ts';
import { type CommitProxy, openCommitProxy } from '../testing/commit-proxy.ts';
import { createTestTeam, type TestTeam } from '../testing/job-fixtures.ts';
import { openTestServices } from '../testing/open-test-services.ts';
import { createFile, listFiles } from './file-records.ts';

let services: Services;
let team: TestTeam;
let proxy: CommitProxy;
let database: Database;
before(async () => {
  services = await openTestServices();
  team = await createTestTeam(services);
  proxy = await openCommitProxy(services.databaseUrl);
  database = connectDatabase(proxy.url, pino({ level: 'silent' }), { defaultScope: 'system' });
});
after(async () => {
  await database?.db.$disconnect();
  await database?.sql.end();
  await proxy?.close();
  await services?.close();
});

for (const how of ['answer', 'request'] as const) {
  test(`a COMMIT whose ${how} is lost leaves one row, with its bytes`, async () => {
    const stored = await services.files.receive(Readable.from([Buffer.from('{"text":"a"}\n')]), {
      limit: 99,
    });
    proxy.cutNextCommit(how);
    const file = await createFile(database, team.id, {
      ...stored,
      filename: how,
      purpose: 'fine-tune',
      status: 'processed',
      format: 'text',
      examples: 1,
      keyId: team.keyId,
    });
    assert.equal(proxy.cuts, how === 'answer' ? 1 : 2);
    const { data } = await listFiles(services, team.id, { order: 'asc', limit: 100 });
    assert.deepEqual(
      data.filter((each) => each.filename === how).map(({ id }) => id),
      [file.id],
    );
    const entries = await services.db.auditEntry.count({ where: { target: file.id, action: 'file.create' } });
    assert.equal(entries, 1);
    await services.files.localPath(file, 'ftjob-1');
  });
}
