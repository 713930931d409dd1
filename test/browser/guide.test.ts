/** The guide, which is docs/ as a site at /docs/guide: pages, headers, search, and its looks in both colour schemes and on a phone. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { guideFolder } from '../../scripts/web/build-guide.ts';
import { root } from '../../scripts/web/built-folder.ts';
import { type BrowserBench, openBrowserBench } from './browser-bench.ts';

let bench: BrowserBench;
before(async () => {
  bench = await openBrowserBench();
});
after(async () => await bench?.close());

const markdownFiles = (folder: string) =>
  readdirSync(join(root, folder)).filter((file) => file.endsWith('.md'));

test('every page of docs/ is there without a key, revalidated, and without inline scripts and styles', async () => {
  const names = markdownFiles('docs').map((file) => (file === 'README.md' ? '' : file.replace('.md', '/')));
  const decisions = markdownFiles('docs/decisions').map((file) => `decisions/${file.replace('.md', '/')}`);
  assert.ok(names.length > 30 && decisions.length > 80);
  for (const name of [...names, ...decisions, 'decisions/', 'skill/SKILL/']) {
    const answer = await fetch(`${bench.url}/docs/guide/${name}`);
    assert.equal(answer.status, 200, name);
    assert.match(answer.headers.get('content-type')!, /^text\/html/);
    assert.equal(answer.headers.get('cache-control'), 'no-cache');
    const policy = answer.headers.get('content-security-policy')!;
    assert.match(policy, /default-src 'none'; script-src 'self'; style-src 'self';/);
    assert.doesNotMatch(policy, /unsafe|data:|\*|https?:/);
    const text = await answer.text();
    assert.match(text, /<h1 id=/, name);
    assert.doesNotMatch(text, /<style|<script(?![^>]* src=)| style="| on\w+="|docs:check skip/, name);
  }
});

test('HEAD, redirects, compression, unknown paths and paths that leave the folder', async () => {
  const ask = async (path: string, init: RequestInit = {}) =>
    await fetch(bench.url + path, { redirect: 'manual', ...init });
  const head = await ask('/docs/guide/jobs/', { method: 'HEAD' });
  assert.equal(head.status, 200);
  assert.equal(await head.text(), '');
  for (const path of ['/docs/guide', '/docs/guide/jobs']) {
    const answer = await ask(path);
    assert.equal(answer.status, 301, path);
    assert.equal(answer.headers.get('location'), `${path}/`);
  }
  const page = await ask('/docs/guide/jobs/', { headers: { 'accept-encoding': 'br' } });
  assert.equal(page.headers.get('content-encoding'), 'br');
  const script = /src="([^"]+\.js)"/.exec(await page.text())![1]!;
  assert.equal((await ask(script)).headers.get('cache-control'), 'public, max-age=31536000, immutable');
  const hidden = [
    'state',
    'assets/',
    'images/',
    'nope/',
    'jobs/nope',
    '%2e%2e%2fpackage.json',
    '..%2f..%2fpackage.json',
  ];
  for (const path of hidden) {
    const answer = await ask(`/docs/guide/${path}`);
    assert.equal(answer.status, 404, path);
    assert.equal(((await answer.json()) as { error: { code: string } }).error.code, 'unknown_url', path);
  }
  assert.equal((await ask('/docs/guide/jobs/', { method: 'POST' })).status, 405);
});

test('the search finds a word, and its result leads to the section', async () => {
  const visit = await bench.visit(null, '/docs/guide/');
  const { page } = visit;
  await page.keyboard.press('/');
  await page.keyboard.type('learning_rate');
  const first = page.locator('#results a').first();
  await first.waitFor();
  assert.match((await page.locator('#results').textContent())!, /learning_rate/);
  await visit.checkAccess();
  await visit.picture('guide-search', 'window');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Escape');
  await page.locator('#search').fill('zzzzqqqq');
  await page.getByText('Nothing found.').waitFor();
  await page.locator('#search').fill('row-level security');
  await first.waitFor();
  const target = (await first.getAttribute('href'))!;
  await page.keyboard.press('Enter');
  await page.waitForURL(`**${target}`);
  assert.match((await page.locator('main').textContent())!, /row-level security/i);
  await visit.leave();
});

test('pages are readable in both schemes and on a phone, where a button opens the list of pages', async () => {
  for (const name of ['', 'jobs/', 'configuration/', 'methods/', 'performance/', 'decisions/']) {
    for (const [width, scheme] of [
      [390, 'dark'],
      [1440, 'light'],
    ] as const) {
      const visit = await bench.visit(null, `/docs/guide/${name}`, { width, scheme });
      await visit.checkAccess();
      await visit.picture(`guide-${name.replace('/', '') || 'home'}-${width}-${scheme}`, 'window');
      if (width === 390) {
        await visit.page.getByRole('button', { name: 'Pages' }).click();
        await visit.picture(`guide-${name.replace('/', '') || 'home'}-menu`, 'window');
        await visit.page.getByRole('link', { name: 'Webhooks' }).first().click();
        await visit.page.getByRole('heading', { level: 1, name: 'Webhooks' }).waitFor();
      }
      await visit.leave();
    }
  }
});

test('without a build, the guide explains how to build it', async () => {
  const { buildApp } = await import('../../apps/api/src/app.ts');
  const folder = mkdtempSync(join(tmpdir(), 'graft-guide-'));
  const app = await buildApp(bench.services, { guideFolder: folder });
  try {
    for (const path of ['/docs/guide', '/docs/guide/jobs']) {
      const answer = await app.inject(path);
      assert.equal(answer.statusCode, 404);
      assert.match(answer.json().error.message, /npm run dashboard/);
    }
    assert.equal((await app.inject('/docs/json')).statusCode, 200);
  } finally {
    await app.close();
    rmSync(folder, { recursive: true });
  }
});

test('the index of the search has every page but decisions', () => {
  const sections = JSON.parse(readFileSync(join(guideFolder, 'search.json'), 'utf8')) as { id: string }[];
  const urls = new Set(sections.map(({ id }) => id.split('#')[0]));
  for (const file of markdownFiles('docs'))
    assert.ok(
      urls.has(file === 'README.md' ? '/docs/guide/' : `/docs/guide/${file.replace('.md', '/')}`),
      file,
    );
  assert.ok(![...urls].some((url) => url!.includes('/decisions/0')));
});
