/** docs/methods.md agrees with the registry. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { readSection } from '../../scripts/methods/docs-section.ts';
import { exceptionTable, methodTable } from '../../scripts/methods/method-table.ts';

const file = join(import.meta.dirname, '../../docs/methods.md');
const remake = 'make it again: node --import tsx scripts/methods/method-table.ts';

test('the table of methods is that of the registry', async () => {
  assert.equal(await readSection(file, 'methods'), methodTable(), remake);
});

test('every exception of the matrix is documented', async () => {
  assert.equal(
    await readSection(join(import.meta.dirname, '../golden/matrix/exceptions.md'), 'exceptions'),
    exceptionTable(),
    remake,
  );
});
