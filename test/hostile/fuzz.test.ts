/** Random templates, schemas, patterns and data files, the same in every run: `npm run fuzz` tries others, for longer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Kind, kinds } from '../../scripts/fuzz/cases.ts';
import { fuzz } from '../../scripts/fuzz/run-fuzz.ts';

const counts: Record<Kind, number> = { template: 200, schema: 20, pattern: 600, parquet: 200, rows: 60 };

for (const kind of kinds)
  test(`${counts[kind]} cases of ${kind}: each is read, or refused by a short error that is the user's fault`, async () => {
    const { ends, found } = await fuzz(kind, { seed: 39, isOver: (done) => done === counts[kind] });
    assert.deepEqual(found.slice(0, 3), []);
    assert.deepEqual([...ends.values()], [counts[kind]]);
  });
