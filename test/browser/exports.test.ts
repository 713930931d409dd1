/** The exports of an adapter version: choose a format, follow the progress, download, keep, cancel, delete. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { exportFormat } from '@graft/peft-core/exports';
import type { AdapterVersion } from '@graft/service/adapters';
import { claimExport, heartbeatExport, releaseExport } from '@graft/service/exports';
import { storeAdapter } from '../../apps/api/src/testing/store-adapter.ts';
import { writeNextExport } from '../../apps/api/src/testing/write-export.ts';
import { type BrowserBench, openBrowserBench } from './browser-bench.ts';

let bench: BrowserBench;
let version: AdapterVersion;

before(async () => {
  bench = await openBrowserBench();
  version = await storeAdapter(bench, bench.acme, 'poet');
});
after(async () => await bench?.close());

test('an export is requested, followed, downloaded, kept and deleted', async () => {
  const { services } = bench;
  const visit = await bench.visit(bench.acme, `/adapters/${version.adapterId}?tab=exports`);
  const { page } = visit;
  await page.getByText('No exports.').waitFor();
  const { name, title, summary } = exportFormat('peft');
  await page.getByLabel('Format', { exact: true }).selectOption(name);
  await page.getByText(summary).waitFor();
  await page.getByText('Options', { exact: true }).click();
  await visit.checkAccess();
  await page.getByRole('button', { name: 'Export', exact: true }).click();
  const table = page.getByRole('region', { name: 'Exports' });
  await table.getByText('Queued').waitFor();

  const { lease } = (await claimExport(services, { workerId: 'w', leaseSeconds: 60 }))!;
  await heartbeatExport(services, lease, { leaseSeconds: 60, done: 1, total: 2 });
  await table.getByText('Running').waitFor();
  await releaseExport(services, lease);
  await writeNextExport(bench, { 'adapter_model.safetensors': 'weights' }, ['Nothing was changed.']);
  await table.getByText('Succeeded').waitFor();
  await table.getByText('Nothing was changed.').waitFor();
  await visit.checkAccess();
  await visit.picture('adapter-exports');

  const [archive] = await Promise.all([
    page.waitForEvent('download'),
    table.getByRole('link', { name: 'Download' }).click(),
  ]);
  assert.equal(archive.suggestedFilename(), 'poet-v1-peft.tar');
  await table.getByText('Files', { exact: true }).click();
  const [file] = await Promise.all([
    page.waitForEvent('download'),
    table.getByRole('link', { name: 'adapter_model.safetensors' }).click(),
  ]);
  assert.equal(file.suggestedFilename(), 'adapter_model.safetensors');

  await table.getByRole('button', { name: 'Keep' }).click();
  await table.getByText('Never').waitFor();
  await table.getByRole('button', { name: 'Let expire' }).click();
  await table.getByText('Never').waitFor({ state: 'detached' });
  await table.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('button', { name: 'Delete export' }).click();
  await page.getByText('No exports.').waitFor();
  assert.ok(title.length > 0);
  await visit.leave();
});

test('a waiting export is cancelled, a viewer changes nothing', async () => {
  await bench.acme.send('POST', `/v1/adapters/${version.adapterId}/versions/1/exports`, { format: 'peft' });
  const viewer = await bench.caller(bench.acme, 'viewer');
  const look = await bench.visit(viewer, `/adapters/${version.adapterId}?tab=exports`);
  await look.page.getByRole('region', { name: 'Exports' }).getByText('Queued').waitFor();
  assert.equal(await look.page.getByLabel('Format', { exact: true }).count(), 0);
  assert.equal(await look.page.getByRole('button', { name: 'Cancel' }).count(), 0);
  await look.leave();

  const visit = await bench.visit(bench.acme, `/adapters/${version.adapterId}?tab=exports`);
  const table = visit.page.getByRole('region', { name: 'Exports' });
  await table.getByRole('button', { name: 'Cancel' }).click();
  await table.getByText('Cancelled').waitFor();
  await visit.leave();
});
