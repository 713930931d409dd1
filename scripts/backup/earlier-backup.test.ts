import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { migrateDatabase, readMigrations } from '@graft/service/migrations';
import { createTestDatabase } from '@graft/service/testing';
import pg from 'pg';
import { dumpDatabase } from './dump-database.ts';
import { restoreDatabase } from './restore-database.ts';
import { start, verifyChains } from './testing/restored-database.ts';

test('a backup of a version that did not chain its audit log is restored, and chained by the next start', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'graft-earlier-backup-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [earlier, now] = [await createTestDatabase(), await createTestDatabase()];
  const pools: pg.Pool[] = [];
  try {
    const [sql] = [earlier, now].map(({ url }) => {
      const pool = new pg.Pool({ connectionString: url });
      // Dropping the database breaks connections that are about to end.
      pool.on('error', () => {});
      pools.push(pool);
      return pool;
    }) as [pg.Pool, pg.Pool];
    for (const pool of pools) await pool.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public');
    const all = await readMigrations();
    const chained = all.findIndex(({ name }) => name.endsWith('_audit_chain'));
    await migrateDatabase({ sql }, all.slice(0, chained));
    await sql.query(
      `INSERT INTO audit_log (team_id, key_id, action, target, detail)
         SELECT CASE i % 3 WHEN 0 THEN NULL ELSE 'team-' || i % 3 END, 'k', 'x', i::text, '{"n": 1.50}' FROM generate_series(1, 30) i`,
    );
    const place = path.join(folder, 'unchained');
    const contents = await dumpDatabase(earlier.url, place);
    await restoreDatabase(now.url, { folder: place, contents, beforeRows: async () => {} });
    await start(now.url);
    assert.deepEqual(await verifyChains(now.url), { '': 10, 'team-1': 10, 'team-2': 10 });
  } finally {
    for (const pool of pools) await pool.end();
    for (const database of [earlier, now]) await database.drop();
  }
});
