/** The operator's page: by a key of the operator, and by those who are not. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { writeTinyModel } from '@graft/peft-core/testing';
import { registerWorker, removeWorker } from '@graft/service';
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
const machine = { address: null, hostname: 'train-1', pid: 1, slots: 3, version: '0.1.0' };

async function open(path: string, options = {}): Promise<Visit> {
  const visit = await bench.visit(operator, path, options);
  await visit.page.getByRole('navigation', { name: 'Parts of the service' }).waitFor();
  return visit;
}

test('a key of the operator signs in, sees what is missing, and none of a team', async () => {
  const visit = await bench.visit(null, '/');
  const { page } = visit;
  await page.getByLabel('API key').fill(operator.key);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'What is wrong' }).waitFor();
  await page.getByText('No worker takes jobs').waitFor();
  const serving = { ...machine, address: 'http://127.0.0.1:9' };
  await registerWorker(bench.services, { ...serving, id: 'worker-newer', protocol: 1000 });
  await registerWorker(bench.services, { ...serving, id: 'worker-older' });
  await page.reload();
  await page.getByText("One worker is of a version whose completions protocol is not the API's").waitFor();
  await page.getByText('One worker is of a version before protocols had numbers').waitFor();
  for (const id of ['worker-newer', 'worker-older']) await removeWorker(bench.services, id);
  assert.deepEqual(
    await page.getByRole('navigation', { name: 'Pages', exact: true }).getByRole('link').allInnerTexts(),
    ['Operator'],
  );
  await visit.checkAccess();
  await visit.picture('operator-health');
  await visit.leave();
});

test('whoever is no operator is told who is, and asks nothing of the API', async () => {
  const visit = await bench.visit(bench.acme, '/operator/workers');
  await visit.page.getByRole('heading', { name: 'This is for the operator' }).waitFor();
  assert.equal(await visit.page.getByRole('link', { name: 'Operator' }).count(), 0);
  await visit.checkAccess();
  await visit.leave();
});

test('by a provider the operator signs in again after a pause, and is back where they were', async (t) => {
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
    ...{ GRAFT_PUBLIC_URL: url, GRAFT_OIDC_CONFIG: file, GRAFT_OIDC_CLIENT_SECRET: testClient.secret },
  });
  const theirs = await openBrowserBench({}, { signIn }, port);
  t.after(() => theirs.close());
  const { sql } = theirs.services;
  const again = async (page: Page) => {
    // In the dialog, too, where there is one.
    await page.getByRole('link', { name: 'Sign in again' }).last().click();
  };

  const visit = await theirs.visit(null, '/operator/queue');
  const { page } = visit;
  await page.getByRole('link', { name: 'Continue with your organisation' }).click();
  await page.getByText('Slots').first().waitFor();
  assert.equal(new URL(page.url()).pathname, '/operator/queue');
  visit.expect(/status of 403/);
  await sql.query("UPDATE sessions SET authenticated_at = now() - interval '2 hours'");
  // What is on the page asks by itself, and what was there is gone.
  await page.getByRole('heading', { name: 'Sign in again' }).waitFor();
  assert.equal(await page.getByText('Slots').count(), 0);
  await visit.checkAccess();
  await visit.picture('operator-sign-in-again');
  await again(page);
  await page.getByText('Slots').first().waitFor();
  assert.equal(new URL(page.url()).pathname, '/operator/queue');

  // A page that asks for nothing by itself, and a change that is refused.
  await page.getByRole('link', { name: 'Teams' }).click();
  await row(page, 'acme').waitFor();
  await sql.query("UPDATE sessions SET authenticated_at = now() - interval '2 hours'");
  await button(page, 'Make a team').click();
  await page.getByLabel('Name').fill('research');
  await button(page, 'Make it').click();
  await again(page);
  await row(page, 'acme').waitFor();
  assert.equal(await theirs.services.db.team.count({ where: { name: 'research' } }), 0);
  await visit.leave();
});

test('a worker is taken out with a reason, drained of what it runs, and released', async () => {
  const { services } = bench;
  const visit = await open('/operator/workers');
  const { page } = visit;
  await page.getByText('No workers').waitFor();
  const job = await runJob(bench, await queueJob(bench, bench.acme));
  await registerWorker(services, {
    ...{ ...machine, id: 'worker-test' },
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
  // It comes by itself.
  await row(page, 'train-1').filter({ hasText: `1 of 3 slots` }).filter({ hasText: 'acme' }).waitFor();
  await visit.checkAccess();
  await visit.picture('operator-workers');
  visit.expect(/status of 400/);
  await button(page, 'Take out').click();
  await button(page, 'Take it out').click();
  await page.getByRole('alert').waitFor();
  await page.getByLabel('Why?').fill('its disk '.repeat(40));
  await visit.checkAccess();
  await button(page, 'Take it out').click();
  await row(page, 'train-1').filter({ hasText: 'out of service' }).waitFor();
  const asked = async () =>
    (await services.db.job.findFirstOrThrow({ where: { id: job.id } })).preemptRequestedAt !== null;
  assert.equal(await asked(), false);
  await button(page, 'Drain').click();
  await page.getByLabel('Why?').fill('goes home');
  await button(page, 'Take it out').click();
  await page.getByText('leaves at a checkpoint').waitFor();
  assert.equal(await asked(), true);
  await button(page, 'Release').click();
  await row(page, 'train-1').filter({ hasText: 'in service' }).waitFor();
  await visit.leave();
});

test('the queue shows whose turn it is, and a team is made, weighed and given an admin', async () => {
  const { services } = bench;
  await queueJob(bench, bench.other);
  const visit = await open('/operator/queue');
  const { page } = visit;
  await row(page, 'other').filter({ hasText: 'next' }).waitFor();
  await row(page, 'acme').filter({ hasText: 'nothing waits' }).waitFor();
  await visit.checkAccess();
  await visit.picture('operator-queue');
  await page.getByRole('link', { name: 'Teams' }).click();
  await row(page, 'acme').waitFor();
  visit.expect(/status of 400/);
  await button(page, 'Make a team').click();
  await page.getByLabel('Name').fill('Not a name');
  await button(page, 'Make it').click();
  await page.getByText('small letters, digits, inner hyphens').waitFor();
  await page.getByLabel('Name').fill('research');
  await button(page, 'Make it').click();
  await row(page, 'research').getByRole('button', { name: 'Change' }).click();
  await page.getByLabel('Weight').fill('many');
  await button(page, 'Save').click();
  await page.getByRole('alert').waitFor();
  await page.getByLabel('Weight').fill('3');
  await button(page, 'Save').click();
  await page.getByText('research is changed').waitFor();
  assert.equal((await services.db.team.findFirst({ where: { name: 'research' } }))!.weight, 3);
  await row(page, 'research').getByRole('button', { name: 'Invite an admin' }).click();
  await button(page, 'Make the link').click();
  const link = (await page.getByRole('region', { name: 'The link of the invitation' }).textContent())!;
  await visit.checkAccess();
  await button(page, 'I have kept it').click();
  const token = link.slice(link.indexOf('#') + 1);
  const accept = await operator.send('POST', '/v1/invitations/accept', { token, email: 'lead@example.com' });
  assert.deepEqual([accept.status, accept.json.role], [200, 'admin'], accept.text);
  await visit.leave();
});

test('a base model is added, fetched, kept to one team, hidden and removed; one that fails says why', async () => {
  const visit = await open('/operator/base-models');
  const { page } = visit;
  await row(page, 'tiny').filter({ hasText: 'configured' }).waitFor();
  const add = async (id: string, place: string) => {
    await button(page, 'Add a base model').click();
    await page.getByText('A folder', { exact: true }).click();
    await page.getByLabel('Name').fill(id);
    await page.getByLabel('Folder', { exact: true }).last().fill(place);
    await button(page, 'Add it').click();
  };
  visit.expect(/status of 40[03]/);
  await add('mine', '/not/allowed');
  await page.getByRole('alert').waitFor();
  await visit.checkAccess();
  await page.getByLabel('Folder', { exact: true }).last().fill(join(folder, 'mine'));
  await button(page, 'Add it').click();
  await row(page, 'mine').filter({ hasText: 'ready' }).waitFor({ timeout: 120_000 });
  await add('broken', join(folder, 'broken'));
  await row(page, 'broken').filter({ hasText: 'failed' }).waitFor({ timeout: 120_000 });
  await visit.checkAccess();
  await visit.picture('operator-base-models');
  await row(page, 'broken').getByRole('button', { name: 'Try again' }).click();
  await page.getByText('broken is fetched again').waitFor();

  await row(page, 'mine').getByRole('button', { name: 'every team' }).click();
  await page.getByText('Allow some').click();
  await button(page, 'Save').click();
  await page.getByText('Name at least one team').waitFor();
  await page.getByLabel('Teams').fill(bench.acme.teamId);
  await button(page, 'Save').click();
  await row(page, 'mine').getByRole('button', { name: 'one team' }).waitFor();
  const found = async (team: Caller) => (await team.send('GET', '/v1/models/mine')).status;
  assert.deepEqual([await found(bench.acme), await found(bench.other)], [200, 404]);
  await row(page, 'mine').getByRole('button', { name: 'Hide' }).click();
  await row(page, 'mine').filter({ hasText: 'hidden' }).waitFor();
  assert.equal(await found(bench.acme), 404);
  await button(page, 'Undo').click();
  await row(page, 'mine').filter({ hasText: 'ready' }).waitFor();
  await row(page, 'mine').getByRole('button', { name: 'Remove' }).click();
  await button(page, 'Remove it').click();
  await row(page, 'mine').waitFor({ state: 'detached' });
  await visit.leave();
});

test('a thousand workers and far too long names fit any width, light and dark', async () => {
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
      await page.getByText('100 are shown.').waitFor();
      if (width === 1280) {
        await page.getByRole('link', { name: 'Health' }).click();
        await page.getByText(/\d+ workers are out of service/).waitFor();
      }
      await visit.checkAccess();
      await visit.picture(`operator-many-${width}-${scheme}`);
      await visit.leave();
    }
  }
});
