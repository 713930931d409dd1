/** The options that automatic training chooses, compared with measurements of `npm run sweep`; scripts/sweep/results.md shows the same table. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSection } from '../../scripts/methods/docs-section.ts';
import { long } from '../../scripts/sweep/long.ts';
import { preferences } from '../../scripts/sweep/preferences.ts';
import { ratioOf, results, usual, verdictsOn } from '../../scripts/sweep/usual.ts';

const verdicts = await verdictsOn(results.read());
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

for (const [name, sweep] of Object.entries({ usual, long, preferences }))
  test(`scripts/sweep/results.md shows the tables of the sweep ${name}`, async () => {
    for (const [section, table] of Object.entries((await sweep.report([])).tables))
      assert.equal(await readSection('scripts/sweep/results.md', section), table);
  });

test('what is measured of long runs and preferences holds but for a known gap', async () => {
  assert.deepEqual((await long.report([])).faults, []);
  // Twice the share is two of 50 pairs better here, with both seeds; decision 91 says why it is not the default.
  const known = 'preferences: dpo from base: interfaces: 4 points less accurate than the best';
  assert.deepEqual((await preferences.report([])).faults, [known, known]);
});
