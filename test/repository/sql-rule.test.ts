/** The files that may contain raw SQL; all others use Prisma's typed client (docs/decisions/0008). */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..', '..');

/** Folders and files, each with the reason for its SQL. */
const places: Record<string, string> = {
  'packages/service/src/database/': 'the pool, migrations, turns of loops, what became of a COMMIT',
  'packages/service/src/jobs/transitions/': 'guarded transitions, locks, fair picking',
  'packages/service/src/work/': "claims, leases and retries by Postgres's clock",
  'packages/service/src/jobs/turns/':
    "whose turn it is, by Postgres's clock, and the places of all that wait",
  'packages/service/src/jobs/leases/': 'heartbeats, metrics, writes that hold the lease',
  'packages/service/src/jobs/records/read-jobs.ts': 'a job that clients poll',
  'packages/service/src/jobs/records/read-metrics.ts': 'series of a million steps, summed up by Postgres',
  'packages/service/src/jobs/records/watch-jobs.ts': 'what all event streams wait for, in one statement',
  'packages/service/src/workers/': "heartbeats and picking by Postgres's clock",
  'packages/service/src/publications/': 'guarded transitions, locks, one at a time for each team',
  'packages/service/src/exports/': "guarded transitions, locks, fair picking by Postgres's clock",
  'packages/service/src/channel/': "keys ended by Postgres's clock",
  'packages/service/src/keys/': "once a request; revoked, rotated and ended by Postgres's clock",
  'packages/service/src/people/': "invited, removed and disabled by Postgres's clock",
  'packages/service/src/scim/': "deactivated and revoked by Postgres's clock, locks",
  'packages/service/src/sessions/': "once a request; ended and idle by Postgres's clock",
  'packages/service/src/teams/':
    'the lock of a team, what counts towards its quota, and its rows removed by the batch',
  'packages/service/src/webhooks/deliver/': "spreading, claiming and pruning by Postgres's clock",
  'packages/service/src/webhooks/take-send.ts': "a rate by Postgres's clock, in one guarded update",
  'packages/service/src/webhooks/manage-endpoints.ts': 'one create of a team at a time, locks',
  'packages/service/src/base-models/added/':
    "leases by Postgres's clock, what a team may use, in one statement",
  'packages/service/src/integrations/send/': "claims and retries by Postgres's clock, series of many steps",
  'packages/service/src/rotation/': 'what still works by which version, in one statement',
  'packages/service/src/uploads/': "limits, claims and expiry by Postgres's clock, locks",
  'packages/service/src/usage/': 'entries by what is entered already, and their sums',
  'packages/service/src/audit/': 'the text that the database hashes, cursors that never go back',
  'packages/service/src/rates/count-stores.ts': 'counts added up by the batch',
  'packages/service/src/reports/': 'fair picking, leases',
  'packages/service/src/observe/read-gauges.ts': 'counts, at every scrape',
  'packages/service/src/postgres/': 'making the embedded server, its database, logins and roles',
  'scripts/backup/copy-streams.ts': 'COPY',
  'scripts/backup/dump-database.ts': 'all tables at one moment, by the catalogue',
  'scripts/backup/restore-database.ts': 'all tables, the schema and its rules',
  'scripts/security/database-matrix.ts': 'privileges, by the catalogue',
  'scripts/schema-engine/migration-adapter.ts': "what Prisma's schema engine sends",
};

const rawSql = /\.query\s*[<(]|\$(?:query|execute)Raw/;

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => `${folder}/${name}`)
    .filter((file) => /\.m?ts$|\.mjs$/.test(file) && !/\/node_modules\/|\/dist\//.test(file))
    .filter((file) => !/\.test\.ts$|\/testing\/|\/src\/generated\//.test(file));
}

const files = ['apps', 'packages', 'scripts'].flatMap(sources);
const withSql = files.filter((file) => rawSql.test(readFileSync(join(root, file), 'utf8')));

test('raw SQL stands only in these places', () => {
  const isAllowed = (file: string) => Object.keys(places).some((place) => file.startsWith(place));
  assert.deepEqual(
    withSql.filter((file) => !isAllowed(file)),
    [],
  );
});

test('no row is looked up by findUnique, and no transaction is a list', () => {
  // Prisma batches both across concurrent requests and runs them in the scope of the first one's team. Use `inTransaction`.
  assert.deepEqual(
    files.filter((file) => /\.findUnique|\$transaction\(/.test(readFileSync(join(root, file), 'utf8'))),
    ['packages/service/src/database/in-transaction.ts'],
  );
});

test('who may see what is said by withTeamScope and withSystemScope alone', () => {
  const says = /SET\s+(?:LOCAL\s+|SESSION\s+)?ROLE|RESET\s+(?:ROLE|ALL)|DISCARD\s+(?:ALL|TEMP)|set_config/i;
  assert.deepEqual(
    files.filter((file) => says.test(readFileSync(join(root, file), 'utf8'))),
    ['packages/service/src/database/fenced-pool.ts'],
  );
});

test('each of these places has some', () => {
  for (const place of Object.keys(places)) {
    assert.ok(
      withSql.some((file) => file.startsWith(place)),
      `${place} needs no exception any more`,
    );
  }
});

test('what the rule looks for is found in each of its forms', () => {
  for (const line of [
    "await db.sql.query('SELECT 1')",
    "await tx.query<{ id: string }>('SELECT id FROM jobs')",
    'await tx.$queryRaw`SELECT 1`',
    'await tx.$executeRawUnsafe(text)',
  ]) {
    assert.match(line, rawSql);
  }
  assert.doesNotMatch('app.get(path, (request) => request.query.stream)', rawSql);
});

test('one file ends jobs and writes to the outbox', () => {
  const having = (text: string) =>
    files.filter((file) => readFileSync(join(root, file), 'utf8').includes(text));
  const endJob = 'packages/service/src/jobs/transitions/end-job.ts';
  const exports = 'packages/service/src/exports/change-export.ts';
  assert.deepEqual(having('finished_at = ').sort(), [exports, endJob]);
  assert.deepEqual(having('outbox.create('), ['packages/service/src/webhooks/enqueue-outbox-event.ts']);
});
