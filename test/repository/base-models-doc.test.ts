/** docs/base-models.md lists every family, and what training its models takes. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { familyTable, sizeTable } from '../../scripts/base-models/family-table.ts';
import { readSection } from '../../scripts/methods/docs-section.ts';

test('the tables of families and sizes are those of the code', async () => {
  const tables = { families: familyTable(), sizes: sizeTable() };
  for (const [name, table] of Object.entries(tables)) {
    assert.equal(
      await readSection(join(import.meta.dirname, '../../docs/base-models.md'), name),
      table,
      'make it again: node --import tsx scripts/base-models/family-table.ts',
    );
  }
});
