/** The form that combines adapter versions: choose, weigh, the options of each type, errors at their fields, the new version. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { filesOf, sendAdapter, soundAdapter } from '../../../apps/api/src/testing/adapter-parts.ts';
import { type BrowserBench, openBrowserBench } from '../browser-bench.ts';

let bench: BrowserBench;
let poet: { model: string; id: string };
let pirate: { model: string; id: string };
let wide: { model: string };

before(async () => {
  bench = await openBrowserBench();
  poet = await upload('poet');
  pirate = await upload('pirate', {}, 2);
  wide = await upload('wide', { r: 3 });
});
after(async () => await bench?.close());

async function upload(name: string, options: Record<string, unknown> = {}, seed = 1) {
  const parts = await soundAdapter(bench, options, seed);
  const { json, status, text } = await sendAdapter(bench.acme, filesOf(parts), { name });
  assert.equal(status, 200, text);
  return json;
}

test('two versions are combined with weights, and the page of the new version opens', async () => {
  const visit = await bench.visit(bench.acme, '/adapters');
  const { page } = visit;
  await page.getByRole('link', { name: 'Combine versions' }).click();
  await page.getByRole('heading', { name: 'Combine versions', level: 1 }).waitFor();
  const combine = page.getByRole('button', { name: 'Combine', exact: true });
  await combine.click();
  await page.getByText('Choose a version in each row, or remove the row.').waitFor();
  await page.getByText('Enter the name of the adapter that gets the version.').waitFor();
  await visit.checkAccess();

  await page.getByLabel('Version 1', { exact: true }).fill(poet.model);
  await page.getByLabel('Version 2', { exact: true }).fill(poet.model);
  await page.getByText(`${poet.model} is chosen twice: add its weights.`).waitFor();
  await page.getByLabel('Version 2', { exact: true }).fill(pirate.model);
  await page.getByLabel('Weight 1', { exact: true }).fill('0.7');
  await page.getByLabel('Weight 2', { exact: true }).fill('-0.3');
  await page.getByLabel('combination_type').selectOption('ties');
  await page.getByLabel('density').fill('0.8');
  await page.getByLabel('Name', { exact: true }).fill('both');
  await page.getByLabel('Note', { exact: true }).fill('A try.');
  await visit.checkAccess();
  await visit.picture('adapters-combine');
  await combine.click();
  await page.waitForURL(/\/adapters\/adpt-\w+\?version=1$/);
  await page.getByRole('heading', { name: 'both', level: 1 }).waitFor();

  const { adapterId } = /\/adapters\/(?<adapterId>adpt-\w+)/.exec(page.url())!.groups!;
  const { json } = await bench.acme.send('GET', `/v1/adapters/${adapterId}/versions/1`);
  assert.deepEqual(json.source_ids, [poet.id, pirate.id]);
  assert.deepEqual(
    json.lineage.sources.map(({ weight }: { weight: number }) => weight),
    [0.7, -0.3],
  );
  assert.deepEqual(json.lineage.combination, {
    combination_type: 'ties',
    density: 0.8,
    majority_sign_method: 'total',
  });
  assert.equal(json.note, 'A try.');
  await visit.leave();
});

test('what the API refuses is shown at the field', async () => {
  const chosen = new URLSearchParams({ a: poet.model, b: wide.model });
  const visit = await bench.visit(bench.acme, `/adapters/combine?${chosen}`);
  const { page } = visit;
  visit.expect(/status of 40[04]/);
  const combine = page.getByRole('button', { name: 'Combine', exact: true });
  /** Fails unless the field gets an error with these words. */
  const refuses = async (label: string, words: RegExp) => {
    await combine.click();
    const field = page.getByLabel(label, { exact: true });
    await page.locator('[role=alert]', { hasText: words }).waitFor();
    assert.equal(await field.getAttribute('aria-invalid'), 'true', label);
    const [described] = (await field.getAttribute('aria-describedby'))!.split(' ').slice(-1);
    assert.match((await page.locator(`[id="${described}"]`).textContent())!, words);
  };
  await page.getByLabel('Name', { exact: true }).fill('../x');
  await refuses('Name', /./);
  await page.getByLabel('Name', { exact: true }).fill('refused');
  await page.getByLabel('combination_type').selectOption('linear');
  await refuses('combination_type', /has rank 2 in .* and 3 in/);
  await page.getByLabel('combination_type').selectOption('magnitude_prune');
  await page.getByLabel('density').fill('');
  await refuses('density', /is needed/);
  await page.getByLabel('density').fill('2');
  await refuses('density', /1/);
  await page.getByLabel('combination_type').selectOption('dare_linear');
  await page.getByLabel('density').fill('0.5');
  await page.getByLabel('seed').fill('many');
  await refuses('seed', /integer|number/);
  await page.getByLabel('combination_type').selectOption('svd');
  await page.getByLabel('svd_rank').fill('4000');
  await refuses('svd_rank', /more than the ranks/);
  await page.getByLabel('svd_rank').fill('');
  await page.getByLabel('Weight 2', { exact: true }).fill('1e9');
  await refuses('Weight 2', /100/);
  await page.getByLabel('Weight 2', { exact: true }).fill('heavy');
  await refuses('Weight 2', /number/);
  await page.getByLabel('Weight 2', { exact: true }).fill('1');

  // A third row names a version that does not exist.
  await page.getByRole('button', { name: 'Add version' }).click();
  await page.getByLabel('Version 3', { exact: true }).fill('ft:tiny:acme:none:abcdefgh');
  await combine.click();
  await page.locator('[role=alert]', { hasText: /ft:tiny:acme:none:abcdefgh.* does not exist/ }).waitFor();
  await visit.checkAccess();
  // Without that row, a version is created from the others.
  await page.getByRole('button', { name: 'Remove version 3' }).click();
  assert.equal(await page.getByRole('button', { name: /^Remove version/ }).count(), 0);
  await page.getByLabel('Name', { exact: true }).fill('accepted');
  await combine.click();
  await page.getByRole('heading', { name: 'accepted', level: 1 }).waitFor();
  const { json } = await bench.acme.send('GET', '/v1/adapters?name=refused');
  assert.deepEqual(json.data, []);
  await visit.leave();
});

test('at most sixteen versions; narrow pages; a viewer combines nothing', async () => {
  const visit = await bench.visit(bench.acme, '/adapters/combine', { width: 390 });
  const { page } = visit;
  const add = page.getByRole('button', { name: 'Add version' });
  for (let rows = 3; rows <= 16; rows++) {
    await add.click();
    await page.getByLabel(`Version ${rows}`, { exact: true }).waitFor();
  }
  assert.equal(await add.getAttribute('aria-disabled'), 'true');
  await visit.checkAccess();
  await visit.leave();

  const viewer = await bench.caller(bench.acme, 'viewer');
  const look = await bench.visit(viewer, '/adapters/combine');
  await look.page.getByRole('heading', { name: 'You have read-only access' }).waitFor();
  assert.equal(await look.page.getByRole('button', { name: 'Combine', exact: true }).count(), 0);
  await look.page.goto('/adapters');
  await look.page.getByRole('link', { name: 'poet', exact: true }).waitFor();
  assert.equal(await look.page.getByRole('link', { name: 'Combine versions' }).count(), 0);
  await look.leave();
});
