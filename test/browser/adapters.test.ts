/** The adapter pages: the list, one adapter with its versions, a comparison of two versions. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { methods } from '@graft/peft-core/config';
import type { AdapterVersion } from '@graft/service/adapters';
import { longestNote } from '@graft/wire/lists';
import { toWireAdapterVersion } from '../../apps/api/src/answers/adapter.ts';
import { publishAdapter } from '../../apps/api/src/testing/publish-adapter.ts';
import { storeAdapter } from '../../apps/api/src/testing/store-adapter.ts';
import { codeFor, codeNames } from '../../apps/web/src/pages/adapter/runtime-code.ts';
import { type BrowserBench, openBrowserBench, type VisitOptions } from './browser-bench.ts';

const views: VisitOptions[] = [390, 1280, 2560].flatMap((width) =>
  (['light', 'dark'] as const).map((scheme) => ({ width, scheme })),
);
const long = 'a-name-that-has-no-end-'.repeat(3).slice(0, 64);

let bench: BrowserBench;
/** Versions of acme: one created by a job, and two that continue from it. */
let trained: AdapterVersion;
let second: AdapterVersion;
let third: AdapterVersion;

before(async () => {
  bench = await openBrowserBench();
  trained = (await publishAdapter(bench, bench.acme, 'poet')).version;
  await bench.services.db.adapterVersion.update({
    where: { id: trained.id },
    data: {
      metrics: {
        steps: 18,
        final_loss: 0.0001,
        validation_loss: 0.5,
        validation: { token_accuracy: 0.9 },
        peak_memory_bytes: 8.9e8,
        parameters: { trainable: 16_384, total: 43_000 },
        proof: {
          live_loss: 0.45,
          reloaded_loss: 0.45,
          base_loss: 3.25,
          examples: 1,
          measured_on: 'validation',
        },
      },
    },
  });
  second = await storeAdapter(bench, bench.acme, 'poet', {
    r: 2,
    parentId: trained.id,
    note: `Softer. ${long.repeat(4)}`,
  });
  third = await storeAdapter(bench, bench.acme, 'poet', { r: 4, parentId: second.id });
});
after(async () => await bench?.close());

/** A thousand adapters of another team. */
async function manyAdapters() {
  const { services, other } = bench;
  const row = await services.db.adapterVersion.findUniqueOrThrow({ where: { id: trained.id } });
  const ids = Array.from({ length: 1000 }, (_, i) => `adpt-many-${String(i).padStart(4, '0')}`);
  const of = { teamId: other.teamId, baseModel: 'tiny' };
  await services.db.adapter.createMany({
    data: ids.map((id, i) => ({ ...of, id, name: i === 999 ? long : `many-${i}`, note: long.repeat(5) })),
  });
  await services.db.adapterVersion.createMany({
    data: ids.map((adapterId, i) => ({
      ...row,
      id: `adptver-many-${i}`,
      teamId: other.teamId,
      adapterId,
      jobId: null,
      keyId: null,
      modelName: `ft:tiny:other:many-${i}:abcdefgh`,
      // biome-ignore lint/suspicious/noExplicitAny: JSON columns have different types for reading and writing
    })) as any,
  });
}

test('without adapters the page explains how to create them', async () => {
  const visit = await bench.visit(bench.other, '/adapters');
  await visit.page.getByRole('heading', { name: 'No adapters yet' }).waitFor();
  await visit.checkAccess();
  await visit.picture('adapters-none');
  await visit.page.getByText('Deleted', { exact: true }).click();
  await visit.page.getByRole('heading', { name: 'No deleted versions' }).waitFor();
  await visit.leave();
});

test('the list: search and base model in the URL, and links to adapters', async () => {
  const visit = await bench.visit(bench.acme, '/adapters');
  const { page } = visit;
  const link = page.getByRole('link', { name: 'poet', exact: true });
  await link.waitFor();
  await page.getByLabel('Search by name').fill('nobody');
  await page.getByRole('heading', { name: 'No matching adapters' }).waitFor();
  assert.equal(new URL(page.url()).search, '?search=nobody');
  await page.reload();
  await page.getByRole('button', { name: 'Clear filters' }).click();
  await page.getByLabel('Base model').selectOption('tiny');
  await page.waitForURL(/base=tiny/);
  await link.click();
  await page.getByRole('heading', { name: 'poet', level: 1 }).waitFor();
  await page.getByRole('heading', { name: 'Version 3', level: 2 }).waitFor();
  await visit.leave();
});

test('a tag is added, moved after a hint, restored by undo, and removed', async () => {
  const visit = await bench.visit(bench.acme, `/adapters/${trained.adapterId}?version=3`);
  const { page } = visit;
  const field = page.getByLabel('Tag', { exact: true });
  const tags = page.getByRole('list', { name: 'Tags' });
  await field.fill('abcdefgh');
  visit.expect(/status of 400/);
  await page.getByRole('button', { name: 'Add tag' }).click();
  await page.getByText('could be the end of the name of a version').waitFor();

  await field.fill('production');
  await page.getByRole('button', { name: 'Add tag' }).click();
  await tags.getByText('production', { exact: true }).waitFor();
  await page.getByRole('link', { name: 'Version 2', exact: true }).click();
  await page.getByText('No tags.').waitFor();
  await field.fill('production');
  await page.getByText('Moves the tag from version 3 to this version.').waitFor();
  await visit.checkAccess();
  await page.getByRole('button', { name: 'Move tag' }).click();
  await tags.getByText('production', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Undo' }).last().click();
  await page.getByText('No tags.').waitFor();
  assert.deepEqual(await tagsNow(), [['production', 3]]);

  // Another user moves the tag after this page was loaded.
  await field.fill('production');
  await page.getByText('Moves the tag from version 3 to this version.').waitFor();
  await bench.acme.send('POST', `/v1/adapters/${trained.adapterId}/tags`, { tag: 'production', version: 1 });
  visit.expect(/status of 412/);
  await page.getByRole('button', { name: 'Move tag' }).click();
  await page.getByText('The tag production points at version 1; nothing was changed.').waitFor();

  await page.getByRole('link', { name: 'Version 1', exact: true }).click();
  await page.getByRole('button', { name: 'Remove production' }).click();
  await page.getByText('No tags.').waitFor();
  await page.getByRole('button', { name: 'Undo' }).last().click();
  await tags.getByText('production', { exact: true }).waitFor();
  assert.deepEqual(await tagsNow(), [['production', 1]]);
  await bench.acme.send('DELETE', `/v1/adapters/${trained.adapterId}/tags/production`);
  await visit.leave();
});

async function tagsNow() {
  const { json } = await bench.acme.send('GET', `/v1/adapters/${trained.adapterId}`);
  return json.tags.map(({ tag, version }: { tag: string; version: number }) => [tag, version]);
}

test('notes of an adapter and of a version', async () => {
  const visit = await bench.visit(bench.acme, `/adapters/${trained.adapterId}?version=1`);
  const { page } = visit;
  for (const [of, words] of [
    ['adapter', 'Writes verse.'],
    ['version', 'The first <b>try</b>.'],
  ] as const) {
    await page.getByRole('button', { name: `Add ${of} note` }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Note').fill('x'.repeat(longestNote + 1));
    visit.expect(/status of 400/);
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.getByRole('alert').waitFor();
    await dialog.getByLabel('Note').fill(words);
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByText(words).first().waitFor();
  }
  await page.reload();
  await page.getByText('Writes verse.').waitFor();
  await page.getByRole('button', { name: 'Edit adapter note' }).click();
  await page.getByRole('dialog').getByLabel('Note').fill('');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('button', { name: 'Add adapter note' }).waitFor();
  await visit.leave();
});

test('the overview of a version has its effect and its measures, with names and units', async () => {
  for (const view of views.filter(({ width }) => width !== 2560)) {
    const visit = await bench.visit(bench.acme, `/adapters/${trained.adapterId}?version=1`, view);
    const { page } = visit;
    const effect = page.getByRole('region', { name: 'Before and after training' });
    await effect.getByRole('row', { name: 'Loss on 1 validation example 3.25 0.45' }).waitFor();
    await effect.getByRole('row', { name: 'Validation loss – 0.5' }).waitFor();
    await effect.getByRole('row', { name: 'Token accuracy – 90%' }).waitFor();
    const text = (await page.locator('.adapter-columns').textContent())!;
    for (const shown of ['890 MB', '0.0001', '16.4\u00a0k', 'Training loss at the end'])
      assert.ok(text.includes(shown), `${shown} is not in ${text}`);
    assert.doesNotMatch(text, /E-|E8|100 ?%/);
    for (const name of ['Exports', 'Publish', 'Files', 'Lineage']) {
      await page.getByRole('button', { name, exact: true }).click();
      await page.waitForURL(new RegExp(`tab=${name.toLowerCase()}`));
      await visit.checkAccess();
    }
    await page.getByRole('button', { name: 'Use', exact: true }).click();
    await page.getByRole('region', { name: /^Code for/ }).waitFor();
    await visit.checkAccess();
    await visit.picture(`adapter-version-${view.width}-${view.scheme}`);
    await visit.leave();
  }
});

test('a version: lineage with links, code for each runtime, download, playground', async () => {
  const visit = await bench.visit(bench.acme, `/adapters/${trained.adapterId}?version=2&tab=lineage`);
  const { page } = visit;
  const lineage = page.getByRole('region', { name: 'Lineage' });
  await lineage.getByRole('link', { name: 'Version poet v2, from poet v1' }).waitFor();
  await lineage.getByRole('img', { name: 'Base model tiny' }).waitFor();
  await lineage.getByRole('link', { name: /^File train\.jsonl/ }).waitFor();
  await lineage.getByRole('link', { name: /^Job .*from tiny, train\.jsonl/ }).waitFor();

  await lineage.getByRole('link', { name: /^Version poet v3/ }).waitFor();
  await page.getByRole('button', { name: 'Use', exact: true }).click();
  const code = page.getByRole('region', { name: /^Code for/ });
  await code.getByText('/v1/chat/completions').waitFor();
  await page.getByLabel('Runtime', { exact: true }).selectOption('HF PEFT');
  await code.getByText('PeftModel.from_pretrained').waitFor();
  await page.reload();
  await code.getByText('PeftModel.from_pretrained').waitFor();

  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: 'Download' }).click(),
  ]);
  assert.equal(download.suggestedFilename(), 'poet-v2.tar');
  const address = await page.getByRole('link', { name: 'Open in playground' }).getAttribute('href');
  assert.deepEqual(Object.fromEntries(new URL(address!, bench.url).searchParams), {
    a: 'tiny',
    b: second.modelName,
  });

  await page.getByRole('button', { name: 'Lineage', exact: true }).click();
  await lineage.getByRole('link', { name: /^Version poet v3/ }).click();
  await page.getByRole('heading', { name: 'Version 3', level: 2 }).waitFor();
  await visit.leave();
});

test('every runtime of the API has its own code', () => {
  const known = new Set([
    ...['Graft', ...Object.values(methods).flatMap(({ library }) => library ?? [])],
    ...Object.values(methods).flatMap(({ servedBy }) => Object.keys(servedBy ?? {})),
  ]);
  assert.ok(known.size > 5);
  const version = toWireAdapterVersion(second);
  const names = codeNames({ ...version, runtimes: [...known, 'an unknown runtime'] });
  const codes = names.map((name) => codeFor(name, { version, hub: null, origin: bench.url }));
  assert.ok(codes.length > known.size);
  assert.equal(new Set(codes).size, codes.length);
  assert.match(codes.at(-1)!, /versions\/2\/download/);
});

test('a version is deleted and restored, by undo and from the list of deleted versions', async () => {
  const gone = await storeAdapter(bench, bench.acme, 'short-lived');
  const visit = await bench.visit(bench.acme, `/adapters/${gone.adapterId}`);
  const { page } = visit;
  const remove = async () => {
    await page.getByRole('button', { name: 'Delete', exact: true }).click();
    await visit.checkAccess();
    await page.getByRole('button', { name: 'Delete version' }).click();
    await page.getByRole('heading', { name: 'Adapters', level: 1 }).waitFor();
  };
  await remove();
  await page.getByRole('button', { name: 'Undo' }).click();
  await page.getByRole('heading', { name: 'short-lived', level: 1 }).waitFor();
  await remove();
  await page.getByText('Deleted', { exact: true }).click();
  await page
    .getByRole('row', { name: /short-lived/ })
    .getByRole('button', { name: 'Restore' })
    .click();
  await page.getByRole('heading', { name: 'No deleted versions' }).waitFor();

  await page.goto(`/adapters/${gone.adapterId}`);
  await page.getByRole('button', { name: 'Delete adapter' }).click();
  await page.getByRole('button', { name: 'Delete all versions' }).click();
  await page
    .getByRole('cell', { name: /hours|min|now/ })
    .first()
    .waitFor();
  await visit.leave();
});

test('two versions are compared, with both in the URL', async () => {
  const visit = await bench.visit(bench.acme, '/adapters/compare');
  const { page } = visit;
  await page.getByRole('heading', { name: 'Choose two versions' }).waitFor();
  await page.getByLabel('Model A', { exact: true }).fill(second.modelName);
  await page.getByLabel('Model B', { exact: true }).fill(third.modelName);
  // The list of models may still be loading.
  await page.keyboard.press('Enter');
  const configuration = page.getByRole('region', { name: 'Configuration' });
  await configuration.getByRole('row', { name: 'r 2 4' }).waitFor();
  await visit.checkAccess();
  await visit.picture('adapters-compare');
  await page.reload();
  await configuration.getByRole('row', { name: 'r 2 4' }).waitFor();
  visit.expect(/status of 404/);
  await page.getByLabel('Model B', { exact: true }).fill('ft:none');
  await page.keyboard.press('Enter');
  await page.getByText("The model 'ft:none' does not exist.").waitFor();
  await visit.leave();
});

test("missing adapters, versions and pages, and another team's, are reported", async () => {
  const visit = await bench.visit(bench.other, `/adapters/${trained.adapterId}`);
  visit.expect(/status of 404/);
  await visit.page.getByRole('heading', { name: 'Not found' }).waitFor();
  await visit.checkAccess();
  await visit.page.goto('/adapters/compare/x');
  await visit.page.getByRole('heading', { name: 'Page not found' }).waitFor();
  await visit.leave();
  const ours = await bench.visit(bench.acme, `/adapters/${trained.adapterId}?version=9`);
  ours.expect(/status of 404/);
  await ours.page.getByText('The adapter has no version 9.').waitFor();
  await ours.leave();
});

test('a viewer reads everything and sees no actions without permission', async () => {
  const viewer = await bench.caller(bench.acme, 'viewer');
  const visit = await bench.visit(viewer, `/adapters/${trained.adapterId}?version=2&tab=lineage`);
  const { page } = visit;
  await page.getByRole('heading', { name: 'Version 2', level: 2 }).waitFor();
  await page.getByRole('region', { name: 'Lineage' }).getByRole('link').first().waitFor();
  for (const name of [/note/, /Delete/, /tag/])
    assert.equal(await page.getByRole('button', { name }).count(), 0);
  assert.equal(await page.getByRole('link', { name: 'Open in playground' }).count(), 0);
  await visit.leave();
});

for (const view of views) {
  test(`the pages fit at ${view.width} px, ${view.scheme}`, async () => {
    const visit = await bench.visit(bench.acme, `/adapters/${trained.adapterId}?version=2&tab=lineage`, view);
    const { page } = visit;
    await page.getByRole('region', { name: 'Lineage' }).getByRole('link').first().waitFor();
    await visit.checkAccess();
    await visit.picture(`adapter-${view.width}-${view.scheme}`);
    await page.goto('/adapters');
    await page.getByRole('link', { name: 'poet', exact: true }).waitFor();
    await visit.checkAccess();
    await visit.picture(`adapters-${view.width}-${view.scheme}`);
    await visit.leave();
  });
}

test('a thousand adapters are loaded on scroll', async () => {
  await manyAdapters();
  const visit = await bench.visit(bench.other, '/adapters');
  const { page } = visit;
  const rows = page.getByRole('rowheader');
  await rows.first().waitFor();
  await visit.checkAccess();
  await visit.picture('adapters-many');
  for (let shown = 0; shown < 1000; ) {
    shown = await rows.count();
    await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
    await page.waitForFunction(
      (least) => document.querySelectorAll('tbody th').length >= least,
      Math.min(1000, shown + 100),
    );
  }
  await page.getByRole('button', { name: 'Show more' }).waitFor({ state: 'detached' });
  await visit.leave();
});
