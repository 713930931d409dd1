/** The table of database rights in docs/security.md agrees with the roles in Postgres. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { readSection } from '../../scripts/methods/docs-section.ts';
import { databaseMatrix } from '../../scripts/security/database-matrix.ts';

test('the table of the database in docs/security.md follows from the grants', async () => {
  const file = path.join(import.meta.dirname, '../../docs/security.md');
  assert.equal(
    await readSection(file, 'database'),
    await databaseMatrix(),
    'node --import tsx scripts/security/main.ts',
  );
});
