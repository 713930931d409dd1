/** The team's pages: members, API keys, usage, webhooks and audit log, for an admin and for a viewer. */
import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import type { Caller } from '../../apps/api/src/testing/open-api-bench.ts';
import { type BrowserBench, openBrowserBench, type Visit } from './browser-bench.ts';

let bench: BrowserBench;
/** An admin who is a person, not only a key. */
let ada: Caller;
let bob: { name: string; caller: Caller };
before(async () => {
  bench = await openBrowserBench();
  const admin = await bench.caller(bench.acme, 'admin');
  ada = (await join(admin, 'ada@example.com', 'admin')).caller;
  bob = await join(admin, 'bob@example.com', 'viewer');
});
after(async () => await bench?.close());

async function join(admin: Caller, email: string, role: string) {
  const { token } = (await admin.send('POST', '/v1/team/invitations', { email, role })).json;
  const accepted = (await admin.send('POST', '/v1/invitations/accept', { token })).json;
  return { name: accepted.person.name as string, caller: bench.withKey(bench.acme, accepted.key) };
}

const button = (page: Page, name: string | RegExp) => page.getByRole('button', { name });
const dialog = (page: Page) => page.getByRole('dialog');
const row = (page: Page, text: string) => page.getByRole('row').filter({ hasText: text });

async function open(path: string, caller: Caller = ada, options = {}): Promise<Visit> {
  const visit = await bench.visit(caller, path, options);
  await visit.page.getByRole('navigation', { name: 'Team sections' }).waitFor();
  return visit;
}

/** Reads a secret from its dialog, and checks that it is gone when the dialog is closed. */
async function readSecret(page: Page, label: string): Promise<string> {
  const text = (await page.getByRole('region', { name: label, exact: true }).textContent())!;
  await button(page, 'Done').click();
  await dialog(page).waitFor({ state: 'detached' });
  assert.ok(!(await page.content()).includes(text), 'the secret is still in the page');
  return text;
}

test('an admin invites a member, changes a role with undo, and removes the member', async () => {
  const visit = await bench.visit(ada, '/jobs?status=failed');
  const { page } = visit;
  // The filters of jobs have read the members' names.
  await page.getByLabel('Owner').waitFor();
  await page.getByRole('link', { name: 'Team', exact: true }).click();
  // The second matching row is the invitation, which may load first.
  await row(page, 'bob@example.com').first().waitFor();
  await visit.checkAccess();
  await visit.picture('team-people');

  await button(page, 'Invite member').click();
  await page.getByLabel('Email').fill('not an email');
  visit.expect(/status of 400/);
  await button(page, 'Create link').click();
  await page.getByRole('alert').waitFor();
  assert.equal(await page.getByLabel('Email').getAttribute('aria-invalid'), 'true');
  await visit.checkAccess();
  await page.getByLabel('Email').fill('cleo@example.com');
  await page.getByLabel('Role', { exact: true }).selectOption('viewer');
  await button(page, 'Create link').click();
  const link = await readSecret(page, 'Invitation link');
  const token = link.slice(link.indexOf('#') + 1);
  const joined = await bench.acme.send('POST', '/v1/invitations/accept', { token });
  assert.deepEqual([joined.status, joined.json.role], [200, 'viewer'], joined.text);
  await page.reload();
  await row(page, 'cleo@example.com').filter({ hasText: 'accepted' }).waitFor();

  const role = page.getByLabel('Role of cleo', { exact: false });
  await role.selectOption('member');
  await button(page, 'Undo').click();
  await page.getByText('is now viewer').waitFor();
  const roleNow = async () =>
    (await bench.services.db.membership.findFirst({ where: { person: { email: 'cleo@example.com' } } }))
      ?.role;
  assert.equal(await roleNow(), 'viewer');

  await row(page, 'cleo@example.com').first().getByRole('button', { name: 'Remove' }).click();
  await button(page, 'Back').click();
  assert.equal(await roleNow(), 'viewer');
  await row(page, 'cleo@example.com').first().getByRole('button', { name: 'Remove' }).click();
  await dialog(page).getByRole('button', { name: 'Remove' }).click();
  await page.getByText('removed.').waitFor();
  assert.equal(await roleNow(), undefined);

  // The last admin cannot change their role: the page asks for confirmation, and the API rejects it.
  await page.getByLabel(/^Role of ada/).selectOption('viewer');
  await button(page, 'Change to viewer').click();
  await page.getByText(/last admin/i).waitFor();
  await button(page, 'Back').click();

  await button(page, 'Invite member').click();
  await button(page, 'Create link').click();
  await readSecret(page, 'Invitation link');
  await row(page, 'Anyone with the link').getByRole('button', { name: 'Revoke' }).click();
  await button(page, 'Revoke invitation').click();
  await row(page, 'Anyone with the link').filter({ hasText: 'revoked' }).waitFor();
  await visit.leave();
});

test('a key is created with limited permissions, shown once, rotated and revoked', async () => {
  const visit = await open('/team/keys');
  const { page } = visit;
  visit.expect(/status of 400/);
  await button(page, 'Create API key').click();
  await dialog(page).getByRole('button', { name: 'Create' }).click();
  await page.getByRole('alert').waitFor();
  await dialog(page).getByLabel('Name').fill('ci');
  await page.getByLabel('Permissions').selectOption('own');
  await page.getByLabel('Scopes').fill('files:fly');
  await dialog(page).getByRole('button', { name: 'Create' }).click();
  await page.getByText("There is no scope 'files:fly'").waitFor();
  await visit.checkAccess();
  await visit.picture('team-new-key');
  await page.getByLabel('Scopes').fill('files:write, jobs:read');
  await page.getByLabel('Owner').selectOption('team');
  await dialog(page).getByRole('button', { name: 'Create' }).click();
  const key = await readSecret(page, 'API key');
  const me = await bench.withKey(bench.acme, key).send('GET', '/v1/me');
  assert.deepEqual([me.json.scopes, me.json.person], [['files:write', 'jobs:read'], null]);

  const keyRow = row(page, 'files:write, jobs:read');
  await visit.checkAccess();
  await keyRow.getByRole('button', { name: 'Rotate' }).click();
  await page.getByLabel('Old key expires').selectOption('0');
  await dialog(page).getByRole('button', { name: 'Rotate' }).click();
  const next = await readSecret(page, 'API key');
  assert.equal((await bench.withKey(bench.acme, key).send('GET', '/v1/me')).status, 401);
  assert.equal((await bench.withKey(bench.acme, next).send('GET', '/v1/me')).status, 200);
  await keyRow.getByRole('button', { name: 'Revoke' }).click();
  await button(page, 'Revoke key').click();
  await page.getByText('revoked.').waitFor();
  assert.equal((await bench.withKey(bench.acme, next).send('GET', '/v1/me')).status, 401);
  await visit.leave();
});

test('usage: nothing at first, then by model and day, in the URL, with limits and as CSV', async () => {
  const visit = await open('/team/use');
  const { page } = visit;
  await page.getByText('No usage in this period').waitFor();
  await visit.checkAccess();
  const { sql } = bench.services;
  await sql.query(
    `INSERT INTO usage_ledger (team_id, kind, quantity, subject, model, base_model, at)
     SELECT $1, kind, 1000 * (day + 1) * (model + 1), kind || day || model, 'model-' || model, 'tiny', now() - day * interval '1 day'
     FROM generate_series(0, 20) day, generate_series(0, 8) model, unnest(ARRAY['trained_tokens', 'device_seconds']) kind`,
    [bench.acme.teamId],
  );
  await sql.query('INSERT INTO team_quotas (team_id, queued_jobs, tokens_per_month) VALUES ($1, 4, 1)', [
    bench.acme.teamId,
  ]);
  const budget = `/v1/admin/teams/${bench.acme.teamId}/budget`;
  await (await bench.operator()).send('POST', budget, { monthly: 12.5, stops: false });
  await page.reload();
  await page.getByRole('progressbar', { name: 'Waiting jobs: 0% of the limit' }).waitFor();
  await page.getByText('0.00 of 12.50').waitFor();
  await page.getByLabel('Group by').selectOption('model');
  await page.getByLabel('Metric').selectOption('device_seconds');
  await page.getByText('90 days').click();
  await row(page, 'model-8').waitFor();
  assert.equal(new URL(page.url()).search, '?by=model&show=device_seconds&days=90');
  await page.reload();
  const chart = page.getByRole('img', { name: /^Device time: maximum/ });
  await chart.waitFor();
  assert.equal(await chart.locator('g').count(), 90);
  // Nine models: the five with the highest usage, and one for all others.
  assert.equal(await page.locator('.bars .legend li').count(), 6);
  await visit.checkAccess();
  await visit.picture('team-use');
  const saving = page.waitForEvent('download');
  await button(page, 'CSV').click();
  assert.equal((await saving).suggestedFilename(), 'usage.csv');
  await visit.leave();
});

test('a webhook is added, tested, disabled, edited and deleted, and its secret rotated', async () => {
  const visit = await open('/team/webhooks');
  const { page } = visit;
  await page.getByText('No webhooks yet').waitFor();
  visit.expect(/status of 400/);
  await button(page, 'Add endpoint').click();
  await page.getByLabel('URL').fill('ftp://nowhere');
  await dialog(page).getByRole('button', { name: 'Add' }).click();
  await page.getByRole('alert').waitFor();
  await page.getByLabel('URL').fill('https://hooks.invalid/graft');
  await page.getByLabel('Description').fill('far too long '.repeat(15).trim());
  await page.getByLabel('Job running').check();
  await dialog(page).getByRole('button', { name: 'Add' }).click();
  assert.match(await readSecret(page, 'Webhook secret'), /^whsec_/);
  await visit.checkAccess();
  await page.getByRole('link', { name: 'https://hooks.invalid/graft' }).click();
  await page.getByText('No deliveries yet').waitFor();
  await button(page, 'Send test event').click();
  await row(page, 'webhook.test').filter({ hasText: 'pending' }).waitFor();
  await row(page, 'webhook.test').getByText('next attempt').waitFor({ timeout: 30_000 });
  await visit.checkAccess();
  await visit.picture('team-deliveries');
  await page.getByLabel('Status').selectOption('delivered');
  await page.getByText('No delivered deliveries').waitFor();
  assert.equal(new URL(page.url()).search, '?status=delivered');
  await page.getByLabel('Status').selectOption('');
  await button(page, 'Resend').click();
  await page.getByText('Sending the event again').waitFor();
  await button(page, 'Disable').click();
  await button(page, 'Enable').click();
  await page.getByText('Endpoint enabled').waitFor();
  await button(page, 'Rotate secret').click();
  await dialog(page).getByRole('button', { name: 'Rotate' }).click();
  assert.match(await readSecret(page, 'Webhook secret'), /^whsec_/);
  await button(page, 'Edit').click();
  await page.getByLabel('Description').fill('for ops');
  await button(page, 'Save').click();
  await page.getByText('for ops').waitFor();
  await button(page, 'Delete').click();
  await button(page, 'Delete endpoint').click();
  await page.getByText('No webhooks yet').waitFor();
  await visit.leave();
});

test('the audit log is filtered in the URL, and exported with the same filters', async () => {
  const visit = await open('/team/audit?action=api_key.*');
  const { page } = visit;
  await page.getByRole('row').nth(1).waitFor();
  await visit.checkAccess();
  await page.getByLabel('Action').fill('webhook.nonesuch');
  await page.getByText('No matching entries').waitFor();
  await page.getByLabel('Action').fill('webhook.*');
  await row(page, 'webhook.create').waitFor();
  assert.equal(await row(page, 'api_key.create').count(), 0);
  assert.equal(new URL(page.url()).searchParams.get('action'), 'webhook.*');
  await visit.picture('team-audit');
  await page.getByLabel('To', { exact: true }).fill('2020-01-01');
  await page.getByText('No matching entries').waitFor();
  await page.getByLabel('To', { exact: true }).fill('');
  await row(page, 'webhook.create').waitFor();
  const saving = page.waitForEvent('download');
  await page.getByRole('link', { name: 'JSON' }).click();
  const lines = (await text(createReadStream(await (await saving).path()))).trim().split('\n');
  assert.ok(lines.length >= 3 && lines.every((line) => JSON.parse(line).action.startsWith('webhook.')));
  await visit.leave();
});

test('a viewer sees members, own keys and usage, without actions that need permission', async () => {
  const visit = await open('/team', bob.caller);
  const { page } = visit;
  await row(page, 'ada@example.com').waitFor();
  assert.equal(await page.getByRole('combobox').count(), 0);
  assert.deepEqual(
    await page.getByRole('navigation', { name: 'Team sections' }).getByRole('link').allInnerTexts(),
    ['Members', 'API keys', 'Usage and limits', 'Hugging Face Hub'],
  );
  assert.equal(await page.getByRole('heading', { name: 'Invitations' }).count(), 0);
  assert.deepEqual(await page.getByRole('table').getByRole('button').allInnerTexts(), ['Leave']);
  await visit.checkAccess();
  visit.expect(/status of 403/);
  for (const path of ['/team/audit', '/team/webhooks', '/team/webhooks/whep-none']) {
    await page.goto(path);
    await page.getByRole('heading', { name: 'Not allowed' }).waitFor();
  }
  await page.goto('/team/keys');
  await button(page, 'Create API key').click();
  assert.deepEqual(await page.getByLabel('Role', { exact: true }).locator('option').allInnerTexts(), [
    'Viewer',
  ]);
  await page.keyboard.press('Escape');
  await page.goto('/team');
  await button(page, 'Leave').click();
  await dialog(page).getByRole('button', { name: 'Leave' }).click();
  visit.expect(/status of 401/);
  // Leaving the team revoked the key of this session.
  await page.getByLabel('API key').waitFor();
  await visit.leave();
});

test('a thousand members and very long names fit at any width, light and dark', async () => {
  const { sql } = bench.services;
  const [crowd, lead] = [bench.other, await bench.caller(bench.other, 'admin')];
  await sql.query(
    `WITH made AS (
       INSERT INTO people (id, email, name)
       SELECT 'person-' || n, repeat('long', n % 40) || n || '@example.com', repeat('Name without an end ', 1 + n % 30) || n
       FROM generate_series(1, 1000) n RETURNING id)
     INSERT INTO memberships (team_id, person_id, role) SELECT $1, id, 'member' FROM made`,
    [crowd.teamId],
  );
  for (const width of [390, 1280, 2560]) {
    for (const scheme of ['light', 'dark'] as const) {
      const visit = await open('/team', lead, { width, scheme });
      const { page } = visit;
      await row(page, '@example.com').first().waitFor();
      await visit.checkAccess();
      await visit.picture(`team-many-${width}-${scheme}`);
      if (width === 1280 && scheme === 'light') {
        for (let shown = 100; shown < 1000; shown += 100) {
          await page.getByText(`Showing ${shown}`).waitFor();
          await button(page, 'Show more').click();
        }
        await button(page, 'Show more').waitFor({ state: 'detached' });
        assert.equal(await row(page, '@example.com').count(), 1000);
      }
      await visit.leave();
    }
  }
});
