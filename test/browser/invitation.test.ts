/** The page of an invitation link: signed out, signed in with a key, and with an identity provider. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { loadApiSettings } from '../../apps/api/src/settings.ts';
import { openTestProvider, type TestProvider, testClient } from '../../apps/api/src/testing/oidc-provider.ts';
import type { Caller } from '../../apps/api/src/testing/open-api-bench.ts';
import { freePort } from '../service/running-graft.ts';
import { type BrowserBench, openBrowserBench, type Visit } from './browser-bench.ts';

let bench: BrowserBench;
let admin: Caller;
before(async () => {
  bench = await openBrowserBench();
  admin = await bench.caller(bench.acme, 'admin');
});
after(async () => await bench?.close());

async function invite(by: Caller, body: object = {}): Promise<{ id: string; token: string; path: string }> {
  const { id, token } = (await by.send('POST', '/v1/team/invitations', body)).json;
  return { id, token, path: `/invitations/accept#${token}` };
}

const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true });
const heading = (page: Page, name: string) => page.getByRole('heading', { name, exact: true });
const narrow = { width: 390, height: 844 };

/** The token is neither in the URL, nor in the history, nor in the browser's storage. */
async function assertForgotten(page: Page, token: string): Promise<void> {
  const kept = await page.evaluate(
    () => location.href + document.cookie + JSON.stringify({ ...localStorage, ...sessionStorage }),
  );
  assert.ok(!kept.includes(token), kept);
  const network = await page.context().newCDPSession(page);
  const { entries } = await network.send('Page.getNavigationHistory');
  assert.ok(!entries.some(({ url }) => url.includes(token)), 'the history has it');
}

async function look(visit: Visit, name: string): Promise<void> {
  await visit.checkAccess();
  await visit.picture(`invitation-${name}`);
}

test('a new user joins with a link of the old format, gets a key and opens the team; the link works once', async () => {
  const { token } = await invite(admin, { role: 'viewer' });
  for (const options of [{}, narrow]) {
    const visit = await bench.visit(null, '/sign-in', options);
    const { page } = visit;
    await page.goto(`/v1/invitations/accept#${token}`);
    await heading(page, 'Join a team').waitFor();
    await page.getByText('You were invited to team acme as viewer.').waitFor();
    assert.equal(new URL(page.url()).pathname, '/invitations/accept');
    await assertForgotten(page, token);
    await look(visit, `form-${options === narrow ? 390 : 1280}`);
    visit.expect(/status of 400/);
    await button(page, 'Join').click();
    await page.getByText("Missing required parameter: 'email'").waitFor();
    await page.getByLabel('Your email').fill('no email');
    await button(page, 'Join').click();
    await page.locator('.field-error').filter({ hasNotText: 'Missing' }).waitFor();
    assert.equal(await page.getByLabel('Your email').getAttribute('aria-invalid'), 'true');
    await look(visit, `faults-${options === narrow ? 390 : 1280}`);
    await visit.leave();
  }

  const visit = await bench.visit(null, `/invitations/accept#${token}`, narrow);
  const { page } = visit;
  await page.getByLabel('Your email').fill('nell@example.com');
  await page.getByLabel('Your name').fill('Nell');
  await page.keyboard.press('Enter');
  await heading(page, 'Your API key').waitFor();
  await page.getByText('You joined team acme as viewer (nell@example.com).').waitFor();
  await look(visit, 'key-390');
  const key = (await page.getByRole('region', { name: 'API key' }).textContent())!;
  const me = (await bench.withKey(bench.acme, key).send('GET', '/v1/me')).json;
  assert.deepEqual([me.person.name, me.role, me.team.name], ['Nell', 'viewer', 'acme']);
  await button(page, 'Continue').click();
  await heading(page, 'Jobs').waitFor();
  assert.equal(new URL(page.url()).pathname, '/jobs');
  assert.ok(!(await page.content()).includes(key), 'the key is still in the page');
  await page.getByText('nell@example.com').waitFor();

  // The same link again shows that it is invalid.
  visit.expect(/status of 400/);
  await page.goto(`/invitations/accept#${token}`);
  await heading(page, 'Invalid invitation link').waitFor();
  await look(visit, 'used-390');
  await page.getByRole('link', { name: 'Go to the home page' }).click();
  await heading(page, 'Jobs').waitFor();
  await visit.leave();
});

test('invalid links and wrong emails are explained, with what to do', async () => {
  const visit = await bench.visit(null, '/invitations/accept', narrow);
  const { page } = visit;
  visit.expect(/status of 400/);
  visit.expect(/status of 400/);
  await heading(page, 'Open the link again').waitFor();
  await look(visit, 'nothing-390');

  const openLink = async (token: string, shows = 'Join a team') => {
    await page.goto('about:blank');
    await page.goto(`/invitations/accept#${token}`);
    await heading(page, shows).waitFor();
  };
  const revoked = await invite(admin);
  await admin.send('DELETE', `/v1/team/invitations/${revoked.id}`);
  const old = await invite(admin);
  await bench.services.sql.query(
    `UPDATE invitations SET created_at = now() - interval '2 days', expires_at = now() - interval '1 day' WHERE id = $1`,
    [old.id],
  );
  for (const token of ['graft_invite_wrong', revoked.token, old.token]) {
    await openLink(token, 'Invalid invitation link');
    await page.getByText('Ask the person who sent it for a new one').waitFor();
  }
  // Revoked while the page is open.
  const late = await invite(admin);
  await openLink(late.token);
  await admin.send('DELETE', `/v1/team/invitations/${late.id}`);
  await page.getByLabel('Your email').fill('late@example.com');
  await button(page, 'Join').click();
  await heading(page, 'Invalid invitation link').waitFor();
  await page.getByRole('link', { name: 'Sign in' }).click();
  await page.getByLabel('API key').waitFor();

  await openLink((await invite(admin, { email: 'ada@example.com' })).token);
  await page.getByLabel('Your email').fill('bob@example.com');
  await button(page, 'Join').click();
  await page.getByText('The invitation is for another email. Enter the email that').waitFor();
  await look(visit, 'wrong-email-390');
  // An invitation for an email does not need it again.
  await page.getByLabel('Your email').fill('');
  await button(page, 'Join').click();
  await page.getByText('(ada@example.com)').waitFor();

  await openLink((await invite(admin)).token);
  await page.getByLabel('Your email').fill('ada@example.com');
  await button(page, 'Join').click();
  await page.getByText('is a member of the team already. Sign in instead').waitFor();
  await visit.leave();
});

test('a user signed in with a key sees this, and joins as a new person or signs out first', async () => {
  const other = await bench.caller(bench.other, 'admin');
  for (const isStaying of [true, false]) {
    const { path } = await invite(admin, { email: `key-${isStaying}@example.com` });
    const visit = await bench.visit(other, path, narrow);
    const { page } = visit;
    await page.getByText('signed in with an API key of team other').waitFor();
    await look(visit, 'by-key-390');
    if (!isStaying) {
      await button(page, 'Sign out').click();
      await page.getByText('signed in with an API key').waitFor({ state: 'detached' });
    }
    await button(page, 'Join').click();
    await button(page, 'Continue').click();
    await page.getByText(`key-${isStaying}@example.com`).waitFor();
    // The session belongs to the new key, and the other team's data are gone.
    assert.equal(await page.getByText('other', { exact: true }).count(), 0);
    await visit.leave();
  }
});

test('with an identity provider people join only as themselves', async (t) => {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const provider = await openTestProvider(`${url}/v1/sign-in/callback`);
  t.after(() => provider.close());
  const folder = await mkdtemp(join(tmpdir(), 'graft-oidc-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'oidc.json');
  await writeFile(file, JSON.stringify({ issuer: provider.issuer, client_id: testClient.id }));
  const { signIn } = loadApiSettings({
    GRAFT_PUBLIC_URL: url,
    GRAFT_OIDC_CONFIG: file,
    GRAFT_OIDC_CLIENT_SECRET: testClient.secret,
  });
  const theirs = await openBrowserBench({}, { signIn }, port);
  t.after(() => theirs.close());
  const lead = await theirs.caller(theirs.acme, 'admin');
  await joinAtProvider(theirs, lead, provider);

  // The link alone is not enough, and a rejection does not use it up.
  const { token } = await invite(lead, { email: 'guest@example.com' });
  const visit = await theirs.visit(null, `/invitations/accept#${token}`, narrow);
  const { page } = visit;
  await page.getByRole('link', { name: 'Continue with SSO' }).waitFor();
  assert.equal(await button(page, 'Join').count(), 0);
  await look(visit, 'provider-390');
  await visit.leave();
});

async function joinAtProvider(theirs: BrowserBench, lead: Caller, provider: TestProvider): Promise<void> {
  const eve = { email: 'eve@example.com', email_verified: true, name: 'Eve' };
  provider.people.set('eve', eve);
  provider.visitor = 'eve';
  const { token } = await invite(lead, { role: 'member' });
  const visit = await theirs.visit(null, `/invitations/accept#${token}`, narrow);
  const { page } = visit;
  const addresses: string[] = [];
  page.on('request', (request) => void addresses.push(request.url(), request.headers().referer ?? ''));
  await page.getByRole('link', { name: 'Continue with SSO' }).click();
  await page.getByText('You are signed in as Eve (eve@example.com)').waitFor();
  assert.ok(addresses.some((address) => address.startsWith(provider.issuer)));
  assert.ok(!addresses.some((address) => address.includes(token)), 'no address on the way has the token');
  await assertForgotten(page, token);
  await look(visit, 'as-person-390');
  await button(page, 'Join as Eve').click();
  await page.getByText('You joined team acme as member.').waitFor();
  await heading(page, 'Jobs').waitFor();

  // Signed in: a wrong email and a second membership are rejected, with what to do.
  visit.expect(/status of 400/);
  for (const [body, advice] of [
    [{ email: 'other@example.com' }, 'ask for an invitation for your email'],
    [{}, 'You are already a member.'],
  ] as const) {
    // The second link differs only in the fragment.
    await page.goto(`/invitations/accept#${(await invite(lead, body)).token}`);
    await button(page, 'Join as Eve').click();
    await page.getByText(advice).waitFor();
    await look(visit, 'as-person-refused-390');
  }
  await page.goto('about:blank');
  await page.goto(`/invitations/accept#${token}`);
  await heading(page, 'Invalid invitation link').waitFor();
  await visit.leave();
}
