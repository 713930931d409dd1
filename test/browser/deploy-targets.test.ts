/** The deploy targets of an adapter: add one, see its state, retry, delete. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { AdapterVersion } from '@graft/service/adapters';
import { openVllmServer, type RuntimeServer } from '@graft/service/testing';
import { storeAdapter } from '../../apps/api/src/testing/store-adapter.ts';
import { type BrowserBench, openBrowserBench } from './browser-bench.ts';

let bench: BrowserBench;
let version: AdapterVersion;
let vllm: RuntimeServer;
let shared: string;

before(async () => {
  shared = await mkdtemp(path.join(tmpdir(), 'graft-test-deploy-'));
  vllm = await openVllmServer();
  bench = await openBrowserBench({ GRAFT_DEPLOY_ALLOW: '*=127.0.0.1:*', GRAFT_DEPLOY_FOLDER: shared });
  version = await storeAdapter(bench, bench.acme, 'poet');
});
after(async () => {
  await bench?.close();
  await vllm?.close();
  if (shared) await rm(shared, { recursive: true, force: true });
});

test('a target is added, shows why it waits, and is deleted', async () => {
  const admin = await bench.caller(bench.acme, 'admin');
  const visit = await bench.visit(admin, `/adapters/${version.adapterId}`);
  const { page } = visit;
  await page.getByText('No runtime follows a tag of this adapter.').waitFor();
  await page.getByRole('button', { name: 'Add target' }).click();
  await page.getByLabel('Name', { exact: true }).fill('shop');
  await page.getByRole('textbox', { name: 'URL' }).fill(vllm.url);
  await page.getByLabel('API key').fill('sk-shop');
  await visit.checkAccess();
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  const table = page.getByRole('region', { name: 'Deploy targets' });
  await table.getByText('The adapter has no tag production').waitFor();
  await visit.checkAccess();
  await table.getByRole('button', { name: 'Retry' }).click();
  await table.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('button', { name: 'Delete target' }).click();
  await page.getByText('No runtime follows a tag of this adapter.').waitFor();
  await visit.leave();
});
