/** The options that automatic training chooses, compared with measurements of `npm run sweep`; scripts/sweep/results.md shows the same table. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSection } from '../../scripts/methods/docs-section.ts';
import { ratioOf, tableOf, verdictsOn } from '../../scripts/sweep/check.ts';
import { longFaults, longVerdicts } from '../../scripts/sweep/long/check.ts';
import { readLongResults } from '../../scripts/sweep/long/results.ts';
import { verdictTable } from '../../scripts/sweep/long/table.ts';
import { preferenceFaults, preferenceVerdicts } from '../../scripts/sweep/preferences/check.ts';
import { preferenceTables } from '../../scripts/sweep/preferences/preferences.ts';
import { readPreferenceResults } from '../../scripts/sweep/preferences/results.ts';
import { readResults } from '../../scripts/sweep/results.ts';

const verdicts = await verdictsOn(readResults());
const heldOut = verdicts.filter(({ use }) => use === 'held out');

test('the values that are chosen now were measured', () => {
  const unmeasured = verdicts.filter(({ loss }) => loss === null);
  assert.deepEqual(
    unmeasured.map(({ task, method }) => `${task} ${method}`),
    [],
  );
});

test('on tasks that no rule was set by, automatic losses of LoRA are within 5 % of the best', () => {
  const ratios = heldOut.filter(({ method }) => method === 'lora').map(ratioOf);
  assert.equal(ratios.length, 6);
  assert.ok(Math.max(...ratios) <= 1.05, ratios.join(' '));
});

test('those of other methods are within 15 %', () => {
  const others = heldOut.filter(({ method }) => method !== 'lora');
  assert.ok(others.length >= 12);
  const far = others.filter((verdict) => ratioOf(verdict) > 1.15);
  assert.deepEqual(
    far.map(({ task, method }) => `${task} ${method}`),
    [],
  );
});

test('scripts/sweep/results.md shows this table', async () => {
  assert.equal(await readSection('scripts/sweep/results.md', 'sweep'), tableOf(verdicts));
});

test('what is measured of long runs holds, and scripts/sweep/results.md shows it', async () => {
  const long = longVerdicts(readLongResults());
  assert.deepEqual(longFaults(long), []);
  assert.equal(await readSection('scripts/sweep/results.md', 'long runs'), verdictTable(long));
});

test('rates of preferences hold on the tasks that set none but for a known gap, and scripts/sweep/results.md shows what is measured', async () => {
  // Twice the share is two of 50 pairs better here, with both seeds; decision 91 says why it is not the default.
  const known = 'preferences: dpo from base: interfaces: 4 points less accurate than the best';
  assert.deepEqual(preferenceFaults(preferenceVerdicts(readPreferenceResults())), [known, known]);
  for (const [section, table] of Object.entries(preferenceTables()))
    assert.equal(await readSection('scripts/sweep/results.md', section), table);
});
