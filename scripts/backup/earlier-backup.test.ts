import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { createTestDatabase, makeLastVersion, recordLastVersion } from '@graft/service/testing';
import pg from 'pg';
import { dumpDatabase } from './dump-database.ts';
import { restoreDatabase } from './restore-database.ts';
import { start, verifyChains } from './testing/restored-database.ts';

test('a backup of the last version before 1.0.0 is restored and migrated by the next start; an earlier one is refused', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'graft-earlier-backup-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [earlier, now] = [await createTestDatabase(), await createTestDatabase()];
  const pools: pg.Pool[] = [];
  try {
    const [sql, target] = [earlier, now].map(({ url }) => {
      const pool = new pg.Pool({ connectionString: url });
      // Dropping the database breaks connections that are about to end.
      pool.on('error', () => {});
      pools.push(pool);
      return pool;
    }) as [pg.Pool, pg.Pool];
    await makeLastVersion(sql);
    await sql.query(
      `INSERT INTO audit_log (team_id, key_id, action, target, detail)
         SELECT CASE i % 3 WHEN 0 THEN NULL ELSE 'team-' || i % 3 END, 'k', 'x', i::text, '{"n": 1.50}' FROM generate_series(1, 30) i`,
    );
    await target.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public');
    const backUp = async (name: string) => {
      const place = path.join(folder, name);
      return { folder: place, contents: await dumpDatabase(earlier.url, place), beforeRows: async () => {} };
    };
    const last = await backUp('last');
    await recordLastVersion(sql, 30);
    await assert.rejects(
      restoreDatabase(now.url, await backUp('earlier')),
      /^Error: The backup is of an earlier version of Graft: .* \(30 of 63\).*commit e1f565a2: restore it with that version, then start/,
    );
    await restoreDatabase(now.url, last);
    await start(now.url);
    assert.deepEqual(await verifyChains(now.url), { '': 10, 'team-1': 10, 'team-2': 10 });
  } finally {
    for (const pool of pools) await pool.end();
    for (const database of [earlier, now]) await database.drop();
  }
});
