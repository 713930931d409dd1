/** All pages: serving, content security policy, size of the first load, sign-in and sign-out, unknown URLs. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createApiKey, revokeApiKey } from '@graft/service/keys';
import { dashboardPaths } from '../../apps/api/src/plugins/dashboard.ts';
import { type BrowserBench, openBrowserBench } from './browser-bench.ts';
import { forgetCache } from './visits.ts';

/** Compressed bytes until the first page is shown. */
const firstLoadBudget = 150_000;

let bench: BrowserBench;
before(async () => {
  bench = await openBrowserBench();
});
after(async () => await bench?.close());

test('every dashboard path serves the page with a strict policy, and other paths keep the API’s 404', async () => {
  const html = { accept: 'text/html,application/xhtml+xml' };
  for (const name of dashboardPaths) {
    for (const path of name ? [`/${name}`, `/${name}/x/y?z=1`] : ['/']) {
      const answer = await fetch(bench.url + path, { headers: html });
      assert.equal(answer.status, 200, path);
      const policy = answer.headers.get('content-security-policy')!;
      assert.match(policy, /default-src 'none'; script-src 'self'; style-src 'self';/);
      assert.doesNotMatch(policy, /unsafe|data:|\*|https?:/);
      const text = await answer.text();
      assert.doesNotMatch(text, /<style|<script(?![^>]* src=)| style=| on\w+=/);
      assert.match(answer.headers.get('cache-control')!, /no-cache/);
    }
  }
  for (const path of ['/v1/nope', '/nope', '/assets/nope.js', '/jobsx', '/state', '/index.html']) {
    const answer = await fetch(bench.url + path, { headers: html });
    assert.equal(answer.status, 404, path);
    assert.equal(((await answer.json()) as { error: { code: string } }).error.code, 'unknown_url', path);
  }
  assert.equal((await fetch(`${bench.url}/jobs`, { method: 'POST' })).status, 405);
  const page = await (await fetch(bench.url)).text();
  const script = /src="(\/assets\/[^"]+\.js)"/.exec(page)![1]!;
  const asset = await fetch(bench.url + script, { headers: { 'accept-encoding': 'br' } });
  assert.equal(asset.headers.get('cache-control'), 'public, max-age=31536000, immutable');
  assert.equal(asset.headers.get('content-encoding'), 'br');
});

test('the first load is within its budget', async () => {
  const visit = await bench.visit(bench.acme, '/sign-in');
  const { page } = visit;
  const network = await forgetCache(page);
  // Bytes transferred, including headers.
  const sizes: number[] = [];
  network.on('Network.loadingFinished', ({ encodedDataLength }) => void sizes.push(encodedDataLength));
  // An event stream stays open, so the network is never idle.
  await page.goto('/jobs', { waitUntil: 'load' });
  await page.getByRole('heading', { name: 'Jobs', level: 1 }).waitFor();
  while (sizes.length < 6) await new Promise((resolve) => setTimeout(resolve, 50));
  const total = sizes.reduce((a, b) => a + b, 0);
  assert.ok(sizes.length >= 6 && total > 50_000, `${sizes.length} files, ${total} bytes`);
  assert.ok(total <= firstLoadBudget, `${total} bytes`);
  console.log(`first load: ${sizes.length} files, ${total} bytes`);
  await visit.leave();
});

test('sign-in with a key opens the requested page, and sign-out works', async () => {
  const visit = await bench.visit(null, '/jobs?status=failed');
  const { page } = visit;
  const field = page.getByLabel('API key');
  await field.waitFor();
  await visit.checkAccess();
  await field.fill('my key');
  await page.keyboard.press('Enter');
  await page.getByText('An API key looks like graft_').waitFor();

  visit.expect(/status of 401/);
  await field.fill('graft_aaaaaaaa_bbbbbbbbbbbbbbbbbbbb');
  await page.keyboard.press('Enter');
  await page.getByText('The API key is wrong').waitFor();
  assert.equal(await field.getAttribute('aria-invalid'), 'true');

  await field.fill(bench.acme.key);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Jobs', level: 1 }).waitFor();
  assert.equal(new URL(page.url()).search, '?status=failed');
  const kept = await page.evaluate(
    () => JSON.stringify({ ...localStorage, ...sessionStorage }) + document.cookie,
  );
  assert.ok(!kept.includes('graft'), kept);

  await page.getByRole('button', { name: 'Sign out' }).click();
  await field.waitFor();
  await page.reload();
  await field.waitFor();
  await visit.leave();
});

test('a user whose key was revoked signs in again and returns to the page', async () => {
  const { key, keyId } = await createApiKey(bench.services, bench.acme.teamId, { name: 'x', role: 'member' });
  const visit = await bench.visit(bench.withKey(bench.acme, key), '/jobs');
  const { page } = visit;
  await page.getByRole('heading', { name: 'Jobs', level: 1 }).waitFor();
  visit.expect(/status of 401/);
  await revokeApiKey(bench.services, bench.acme.teamId, keyId);
  await page.reload();
  await page.getByLabel('API key').fill(bench.acme.key);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Jobs', level: 1 }).waitFor();
  await visit.leave();
});

test('an unknown URL shows a message and a link', async () => {
  const visit = await bench.visit(bench.acme, '/jobs/x/y/z');
  await visit.page.getByRole('heading', { name: 'Page not found' }).waitFor();
  await visit.checkAccess();
  await visit.page.getByRole('link', { name: 'Go to the home page' }).click();
  await visit.page.getByRole('heading', { name: 'Jobs', level: 1 }).waitFor();
  await visit.leave();
});

test('without a build the API works, and pages explain how to build them', async () => {
  const { buildApp } = await import('../../apps/api/src/app.ts');
  const app = await buildApp(bench.services, { dashboardFolder: '/nowhere/dist' });
  try {
    const answer = await app.inject('/jobs');
    assert.equal(answer.statusCode, 404);
    assert.equal(answer.json().error.code, 'dashboard_not_built');
    assert.match(answer.json().error.message, /npm run dashboard/);
    assert.equal((await app.inject('/healthz')).statusCode, 200);
  } finally {
    await app.close();
  }
});
