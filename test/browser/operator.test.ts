/** The operator's pages, for operators and for others. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { writeTinyModel } from '@graft/peft-core/testing';
import { registerWorker, removeWorker } from '@graft/service/workers';
import type { Page } from 'playwright-core';
import { loadApiSettings } from '../../apps/api/src/settings.ts';
import { openTestProvider, testClient } from '../../apps/api/src/testing/oidc-provider.ts';
import type { Caller } from '../../apps/api/src/testing/open-api-bench.ts';
import { queueJob } from '../../apps/api/src/testing/queue-job.ts';
import { runJob } from '../../apps/api/src/testing/run-job.ts';
import { freePort } from '../service/running-graft.ts';
import { type BrowserBench, openBrowserBench, type Visit } from './browser-bench.ts';

let bench: BrowserBench;
let folder: string;
let operator: Caller;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'graft-bases-'));
  await writeTinyModel(join(folder, 'mine'), { max_position_embeddings: 64 });
  await writeTinyModel(join(folder, 'broken'));
  await writeFile(join(folder, 'broken', 'config.json'), '{"model_type": "nonesuch"}');
  bench = await openBrowserBench({ GRAFT_BASE_MODEL_SOURCES: folder });
  operator = await bench.operator();
});
after(async () => {
  await bench?.close();
  await rm(folder, { recursive: true, force: true });
});

const button = (page: Page, name: string | RegExp) => page.getByRole('button', { name });
const row = (page: Page, text: string) => page.getByRole('row').filter({ hasText: text });
const machine = { address: null, hostname: 'train-1', pid: 1, slots: 3, version: '1.0.0' };

async function open(path: string, options = {}): Promise<Visit> {
  const visit = await bench.visit(operator, path, options);
  await visit.page.getByRole('navigation', { name: 'Operator sections' }).waitFor();
  return visit;
}

test('an operator key signs in, and sees problems of the service but no team pages', async () => {
  const visit = await bench.visit(null, '/');
  const { page } = visit;
  await page.getByLabel('API key').fill(operator.key);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Problems' }).waitFor();
  await page.getByText('No worker is available').waitFor();
  const serving = { ...machine, address: 'http://127.0.0.1:9' };
  await registerWorker(bench.services, { ...serving, id: 'worker-newer', protocol: 1000 });
  await registerWorker(bench.services, { ...serving, id: 'worker-older' });
  await page.reload();
  await page.getByText('1 worker is using a different completions protocol version than the API').waitFor();
  await page.getByText('1 worker is running a version without a protocol number').waitFor();
  for (const id of ['worker-newer', 'worker-older']) await removeWorker(bench.services, id);
  assert.deepEqual(
    await page.getByRole('navigation', { name: 'Pages', exact: true }).getByRole('link').allInnerTexts(),
    ['Operator'],
  );
  await visit.checkAccess();
  await visit.picture('operator-health');
  await visit.leave();
});

test('other users see how to get access, and the page sends no requests', async () => {
  const visit = await bench.visit(bench.acme, '/operator/workers');
  await visit.page.getByRole('heading', { name: 'Operator access required' }).waitFor();
  assert.equal(await visit.page.getByRole('link', { name: 'Operator' }).count(), 0);
  await visit.checkAccess();
  await visit.leave();
});

test('an operator signed in with an identity provider signs in again after two hours, and returns to the page', async (t) => {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const provider = await openTestProvider(`${url}/v1/sign-in/callback`);
  t.after(() => provider.close());
  const ada = { email: 'ada@example.com', email_verified: true, name: 'Ada', groups: ['operators'] };
  provider.people.set('ada', ada);
  provider.visitor = 'ada';
  const file = join(folder, 'oidc.json');
  const rules = { scopes: ['openid', 'email', 'groups'], operator_groups: ['operators'] };
  await writeFile(file, JSON.stringify({ issuer: provider.issuer, client_id: testClient.id, ...rules }));
  const { signIn } = loadApiSettings({
    GRAFT_PUBLIC_URL: url,
    GRAFT_OIDC_CONFIG: file,
    GRAFT_OIDC_CLIENT_SECRET: testClient.secret,
  });
  const theirs = await openBrowserBench({}, { signIn }, port);
  t.after(() => theirs.close());
  const { sql } = theirs.services;
  const again = async (page: Page) => {
    const dialog = page.getByRole('dialog');
    const place = (await dialog.count()) > 0 ? dialog : page;
    await place.getByRole('link', { name: 'Sign in again' }).click();
  };

  const visit = await theirs.visit(null, '/operator/queue');
  const { page } = visit;
  await page.getByRole('link', { name: 'Continue with SSO' }).click();
  await page.getByText('Slots').first().waitFor();
  assert.equal(new URL(page.url()).pathname, '/operator/queue');
  visit.expect(/status of 403/);
  await sql.query("UPDATE sessions SET authenticated_at = now() - interval '2 hours'");
  // The page polls, and hides its data.
  await page.getByRole('heading', { name: 'Sign in again' }).waitFor();
  assert.equal(await page.getByText('Slots').count(), 0);
  await visit.checkAccess();
  await visit.picture('operator-sign-in-again');
  await again(page);
  await page.getByText('Slots').first().waitFor();
  assert.equal(new URL(page.url()).pathname, '/operator/queue');

  // A page that does not poll, and a rejected change.
  await page.getByRole('link', { name: 'Teams' }).click();
  await row(page, 'acme').waitFor();
  await sql.query("UPDATE sessions SET authenticated_at = now() - interval '2 hours'");
  await button(page, 'Create team').click();
  await page.getByLabel('Name').fill('research');
  await page.getByRole('dialog').getByRole('button', { name: 'Create', exact: true }).click();
  await again(page);
  await row(page, 'acme').waitFor();
  assert.equal(await theirs.services.db.team.count({ where: { name: 'research' } }), 0);
  await visit.leave();
});

test('a worker is quarantined with a reason, drained and released', async () => {
  const { services } = bench;
  const visit = await open('/operator/workers');
  const { page } = visit;
  await page.getByText('No workers').waitFor();
  const job = await runJob(bench, await queueJob(bench, bench.acme));
  await registerWorker(services, {
    ...machine,
    id: 'worker-test',
    capabilities: {
      device: 'gpu',
      threads: 8,
      precisions: ['bf16'],
      memoryBytes: 80e9,
      flops: { fp32: 6e13 },
      gpus: ['NVIDIA H100 PCIe'],
      gpuFaults: ['NVIDIA H100 PCIe (GPU-1) is lost. (gpu_lost) Reset the card.'],
    },
  });
  await row(page, 'train-1')
    .filter({ hasText: 'NVIDIA H100 PCIe' })
    .filter({ hasText: 'gpu_lost' })
    .waitFor();
  // Updated by polling.
  await row(page, 'train-1').filter({ hasText: `1 of 3 slots` }).filter({ hasText: 'acme' }).waitFor();
  await visit.checkAccess();
  await visit.picture('operator-workers');
  visit.expect(/status of 400/);
  await button(page, 'Quarantine').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Quarantine' }).click();
  await page.getByRole('alert').waitFor();
  await page.getByLabel('Reason').fill('its disk '.repeat(40));
  await visit.checkAccess();
  await page.getByRole('dialog').getByRole('button', { name: 'Quarantine' }).click();
  await row(page, 'train-1').filter({ hasText: 'quarantined' }).waitFor();
  const isPreempting = async () =>
    (await services.db.job.findFirstOrThrow({ where: { id: job.id } })).preemptRequestedAt !== null;
  assert.equal(await isPreempting(), false);
  await button(page, 'Drain').click();
  await page.getByLabel('Reason').fill('goes home');
  await page.getByRole('dialog').getByRole('button', { name: 'Quarantine' }).click();
  await page.getByText('leaving at the next checkpoint').waitFor();
  assert.equal(await isPreempting(), true);
  await button(page, 'Release').click();
  await row(page, 'train-1').filter({ hasText: 'ready' }).waitFor();
  await visit.leave();
});

test('the queue shows the next team, and a team is created, edited and gets an admin', async () => {
  const { services } = bench;
  await queueJob(bench, bench.other);
  const visit = await open('/operator/queue');
  const { page } = visit;
  await row(page, 'other').filter({ hasText: 'next' }).waitFor();
  await row(page, 'acme').filter({ hasText: 'no waiting jobs' }).waitFor();
  await visit.checkAccess();
  await visit.picture('operator-queue');
  await page.getByRole('link', { name: 'Teams' }).click();
  await row(page, 'acme').waitFor();
  visit.expect(/status of 400/);
  await button(page, 'Create team').click();
  await page.getByLabel('Name').fill('Not a name');
  await page.getByRole('dialog').getByRole('button', { name: 'Create', exact: true }).click();
  await page.getByText('small letters, digits, inner hyphens').waitFor();
  await page.getByLabel('Name').fill('research');
  await page.getByRole('dialog').getByRole('button', { name: 'Create', exact: true }).click();
  await row(page, 'research').getByRole('button', { name: 'Edit' }).click();
  await page.getByLabel('Weight').fill('many');
  await button(page, 'Save').click();
  await page.getByRole('alert').waitFor();
  await page.getByLabel('Weight').fill('3');
  await button(page, 'Save').click();
  await page.getByText('research updated').waitFor();
  assert.equal((await services.db.team.findFirst({ where: { name: 'research' } }))!.weight, 3);
  await row(page, 'research').getByRole('button', { name: 'Invite admin' }).click();
  await button(page, 'Create link').click();
  const link = (await page.getByRole('region', { name: 'Invitation link' }).textContent())!;
  await visit.checkAccess();
  await button(page, 'Done').click();
  const token = link.slice(link.indexOf('#') + 1);
  const accept = await operator.send('POST', '/v1/invitations/accept', { token, email: 'lead@example.com' });
  assert.deepEqual([accept.status, accept.json.role], [200, 'admin'], accept.text);
  await visit.leave();
});

test('a base model is added, downloaded, limited to one team, hidden and removed; a failure shows its reason', async () => {
  const visit = await open('/operator/base-models');
  const { page } = visit;
  await row(page, 'tiny').filter({ hasText: 'configured' }).waitFor();
  const add = async (id: string, place: string) => {
    await button(page, 'Add base model').click();
    await page.getByText('Folder', { exact: true }).click();
    await page.getByLabel('Name').fill(id);
    await page.getByLabel('Folder', { exact: true }).last().fill(place);
    await page.getByRole('dialog').getByRole('button', { name: 'Add' }).click();
  };
  visit.expect(/status of 40[03]/);
  await add('mine', '/not/allowed');
  await page.getByRole('alert').waitFor();
  await visit.checkAccess();
  await page.getByLabel('Folder', { exact: true }).last().fill(join(folder, 'mine'));
  await page.getByRole('dialog').getByRole('button', { name: 'Add' }).click();
  await row(page, 'mine').filter({ hasText: 'ready' }).waitFor({ timeout: 120_000 });
  await add('broken', join(folder, 'broken'));
  await row(page, 'broken').filter({ hasText: 'failed' }).waitFor({ timeout: 120_000 });
  await visit.checkAccess();
  await visit.picture('operator-base-models');
  await row(page, 'broken').getByRole('button', { name: 'Retry' }).click();
  await page.getByText('Downloading broken again').waitFor();

  await row(page, 'mine').getByRole('button', { name: 'all teams' }).click();
  await page.getByText('Allow some').click();
  await button(page, 'Save').click();
  await page.getByText('Enter at least one team ID').waitFor();
  await page.getByLabel('Team IDs').fill(bench.acme.teamId);
  await button(page, 'Save').click();
  await row(page, 'mine').getByRole('button', { name: '1 team' }).waitFor();
  const found = async (team: Caller) => (await team.send('GET', '/v1/models/mine')).status;
  assert.deepEqual([await found(bench.acme), await found(bench.other)], [200, 404]);
  await row(page, 'mine').getByRole('button', { name: 'Hide' }).click();
  await row(page, 'mine').filter({ hasText: 'hidden' }).waitFor();
  assert.equal(await found(bench.acme), 404);
  await button(page, 'Undo').click();
  await row(page, 'mine').filter({ hasText: 'ready' }).waitFor();
  await row(page, 'mine').getByRole('button', { name: 'Remove' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  await row(page, 'mine').waitFor({ state: 'detached' });
  await visit.leave();
});

test('a thousand workers and very long names fit at any width, light and dark', async () => {
  const { sql } = bench.services;
  await sql.query(
    `INSERT INTO workers (id, hostname, pid, slots, bases, version, quarantined_at, quarantine_reason)
     SELECT 'worker-' || n, repeat('host-', 1 + n % 60) || n, 1, 2, ARRAY[repeat('model-', n % 50) || n], repeat('9', 1 + n % 80),
       CASE n % 7 WHEN 0 THEN now() END, CASE n % 7 WHEN 0 THEN repeat('why ', n % 90) END FROM generate_series(1, 1000) n`,
  );
  for (const width of [390, 1280, 2560]) {
    for (const scheme of ['light', 'dark'] as const) {
      const visit = await open('/operator/workers', { width, scheme });
      const { page } = visit;
      await page.getByText('Showing 100').waitFor();
      if (width === 1280) {
        await page.getByRole('link', { name: 'Health' }).click();
        await page.getByText(/\d+ workers are quarantined/).waitFor();
      }
      await visit.checkAccess();
      await visit.picture(`operator-many-${width}-${scheme}`);
      await visit.leave();
    }
  }
});
