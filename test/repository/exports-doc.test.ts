/** docs/exports.md lists every format with its options, and which adapters each holds. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { formatTable, methodTable, optionTable } from '../../scripts/exports/format-table.ts';
import { readSection } from '../../scripts/methods/docs-section.ts';

test('the tables of docs/exports.md are those of the code', async () => {
  const tables = { formats: formatTable(), options: optionTable(), methods: methodTable() };
  for (const [name, table] of Object.entries(tables)) {
    assert.equal(
      await readSection(join(import.meta.dirname, '../../docs/exports.md'), name),
      table,
      'make it again: node --import tsx scripts/exports/format-table.ts',
    );
  }
});
