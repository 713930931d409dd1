/** Publishing on the Hub: the team's token, the form of a version's page, the list, an error with its remedy, deletion. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PublishingHub } from '@graft/peft-core/testing/publishing-hub';
import type { AdapterVersion } from '@graft/service/adapters';
import { storeAdapter } from '../../../apps/api/src/testing/store-adapter.ts';
import { type BrowserBench, openBrowserBench } from '../browser-bench.ts';

const token = 'hf_canary5566778899';
let hub: PublishingHub;
let bench: BrowserBench;
let version: AdapterVersion;

before(async () => {
  hub = await PublishingHub.start();
  hub.tokens.set(token, ['org']);
  bench = await openBrowserBench(
    { GRAFT_INTEGRATION_ALLOW: '127.0.0.1', HF_ENDPOINT: hub.endpoint },
    { publications: { pollMs: 20 } },
  );
  version = await storeAdapter(bench, bench.acme, 'poet');
});
after(async () => {
  await bench?.close();
  hub?.stop();
});

test('a token is stored, a version is published, listed and deleted, and the token is deleted', async () => {
  const admin = await bench.caller(bench.acme, 'admin');
  await admin.send('POST', '/v1/team/publishing', { repositories: ['org', 'other'], public: true });
  const visit = await bench.visit(admin, `/adapters/${version.adapterId}?tab=publish`);
  const { page } = visit;
  visit.expect(/status of 400/);
  const publish = page.locator('form').getByRole('button', { name: 'Publish', exact: true });
  await page.getByText('No publications.').waitFor();
  await page.getByLabel('Repository', { exact: true }).fill('org/poet');
  await publish.click();
  await page.getByText('This team has no token of the Hub').waitFor();

  await page.goto('/team/hub');
  await page.getByText('No token is stored.').waitFor();
  const field = page.getByLabel('Token', { exact: true });
  assert.equal(await field.getAttribute('type'), 'password');
  await field.fill(` ${token} `);
  await visit.checkAccess();
  await page.getByRole('button', { name: 'Save token' }).click();
  await page.getByText(`A token for ${hub.endpoint} is stored`).waitFor();
  assert.equal(await field.inputValue(), '');
  assert.ok(!(await page.content()).includes(token));
  await visit.checkAccess();
  await visit.picture('team-hub');

  await page.goto(`/adapters/${version.adapterId}?tab=publish`);
  const repository = page.getByLabel('Repository', { exact: true });
  await repository.fill('poet');
  await publish.click();
  await page.locator('[role=alert]', { hasText: 'is no name of a repository' }).waitFor();
  assert.equal(await repository.getAttribute('aria-invalid'), 'true');
  const table = page.getByRole('region', { name: 'Publications' });
  await repository.fill('other/poet');
  await publish.click();
  const refused = table.getByRole('row', { name: 'other/poet' });
  await refused.getByText('Failed').waitFor();
  await refused.getByText('integration huggingface may not write there').waitFor();
  await repository.fill('org/poet');
  await page.getByLabel('Permit a public repository').check();
  await publish.click();
  const done = table.getByRole('row', { name: 'org/poet' });
  await done.getByText('Succeeded').waitFor();
  await done.getByText('public permitted').waitFor();
  const { commits, private: isPrivate } = hub.repositories.get('org/poet')!;
  assert.deepEqual([isPrivate, commits.length], [false, 2]);
  assert.equal(
    await done.getByRole('link', { name: 'org/poet' }).getAttribute('href'),
    `${hub.endpoint}/org/poet/commit/${commits.at(-1)!.sha}`,
  );
  await visit.checkAccess();
  await visit.picture('adapter-publications');
  await done.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('button', { name: 'Delete publication' }).click();
  await done.waitFor({ state: 'detached' });
  assert.ok(hub.repositories.has('org/poet'));

  await page.goto('/team/hub');
  await page.getByRole('button', { name: 'Delete token' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete token' }).click();
  await page.getByText('No token is stored.').waitFor();
  await visit.leave();
  assert.equal(hub.leaked, false);
});

test('a viewer sees the publications on a narrow page, and neither form', async () => {
  const viewer = await bench.caller(bench.acme, 'viewer');
  const visit = await bench.visit(viewer, `/adapters/${version.adapterId}?tab=publish`, { width: 390 });
  const { page } = visit;
  await page.getByRole('region', { name: 'Publications' }).getByText('other/poet').first().waitFor();
  assert.equal(await page.getByLabel('Repository', { exact: true }).count(), 0);
  await visit.checkAccess();
  await page.goto('/team/hub');
  await page.getByText('No token is stored.').waitFor();
  assert.equal(await page.getByLabel('Token', { exact: true }).count(), 0);
  await visit.leave();
});
