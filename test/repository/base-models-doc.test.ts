/** docs/base-models.md lists every family and what training its models takes, docs/from-openai.md the suggested models. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { suggestedModels } from '../../packages/wire/src/suggested-models.ts';
import {
  familyTable,
  sizeTable,
  suggestionMemory,
  suggestionTable,
} from '../../scripts/base-models/family-table.ts';
import { readSection } from '../../scripts/methods/docs-section.ts';

test('the tables of families, sizes and suggestions are those of the code', async () => {
  const tables = [
    ['base-models.md', 'families', familyTable()],
    ['base-models.md', 'sizes', sizeTable()],
    ['from-openai.md', 'suggestions', suggestionTable()],
  ] as const;
  for (const [page, name, table] of tables) {
    assert.equal(
      await readSection(join(import.meta.dirname, '../../docs', page), name),
      table,
      'make it again: node --import tsx scripts/base-models/family-table.ts',
    );
  }
});

test('suggested models need the memory that the list states', () => {
  for (const { hub, trainingGb } of suggestedModels)
    assert.equal((suggestionMemory(hub) / 1e9).toFixed(1), trainingGb.toFixed(1), hub);
});
