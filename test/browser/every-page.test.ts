/**
 * Every page with zero, one and a thousand items and with very long texts. By default only what is most likely to break: long lists
 * at phone and laptop widths. Every page at three widths, light and dark, with a screenshot of each:
 * `GRAFT_EVERY_PAGE=whole GRAFT_PICTURES=folder node --import tsx --test test/browser/every-page.test.ts`. Instead of
 * `whole`, a prefix of page names selects those pages.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { createTeam } from '@graft/service/teams';
import type { Page } from 'playwright-core';
import type { Caller } from '../../apps/api/src/testing/open-api-bench.ts';
import { type BrowserBench, openBrowserBench, type VisitOptions } from './browser-bench.ts';
import { layoutFaults } from './layout-faults.ts';
import { seedService } from './seed/service.ts';
import { type Seeded, seedTeam } from './seed/team.ts';

const selection = process.env.GRAFT_EVERY_PAGE;
const isWhole = selection !== undefined;
const only = selection === undefined || selection === 'whole' ? '' : selection;
const counts = isWhole ? [0, 1, 1_000] : [1_000];
const views: VisitOptions[] = isWhole
  ? [390, 1280, 2560].flatMap((width) => (['light', 'dark'] as const).map((scheme) => ({ width, scheme })))
  : [
      { width: 390, scheme: 'dark' },
      { width: 1280, scheme: 'light' },
    ];

/** Pages with long lists or user texts, which the default run covers. */
const lists = new Set([
  ...['jobs', 'job-checkpoints', 'job-history', 'job-sweep', 'compare', 'files', 'adapters', 'adapter'],
  ...['team', 'team-keys', 'team-use', 'team-webhooks', 'team-webhook', 'team-audit'],
  ...['operator-workers', 'operator-queue', 'operator-teams', 'operator-base-models'],
]);

/** Maximum height of a full-page screenshot, in pixels. */
const tallest = 6_000;
/** Allowed cumulative layout shift while a page loads: https://web.dev/articles/cls. */
const maxShift = 0.1;

interface Shown {
  name: string;
  path: string;
  /** Null: not signed in. */
  as?: 'operator' | null;
  /** The page shows "not found", and the browser logs the failed request. */
  isMissing?: boolean;
}

/** The pages for the seeded team, or for one without data. */
function shownPages(seeded: Seeded | null): Shown[] {
  const isMissing = seeded === null;
  const { fileId, adapterId, webhookId, models, jobIds } = seeded ?? none;
  const tabs = ['curves', 'result', 'checkpoints', 'configuration', 'events', 'history'];
  return [
    { name: 'jobs', path: '/jobs' },
    { name: 'jobs-none-found', path: '/jobs?search=nonesuch' },
    { name: 'new-job', path: '/jobs/new' },
    { name: 'new-job-of-file', path: `/jobs/new?file=${fileId}`, isMissing },
    { name: 'new-job-text', path: '/jobs/new?view=yaml' },
    ...tabs.map((tab) => ({ name: `job-${tab}`, path: `/jobs/${jobIds.trains}?tab=${tab}`, isMissing })),
    ...(seeded
      ? [
          { name: 'job-sweep', path: `/jobs/${jobIds.sweep}` },
          { name: 'job-failed', path: `/jobs/${jobIds.failed}` },
          { name: 'job-succeeded', path: `/jobs/${jobIds.succeeded}?tab=result` },
        ]
      : []),
    { name: 'compare', path: `/compare?jobs=${seeded ? Object.values(jobIds).join() : ''}` },
    { name: 'files', path: '/files' },
    { name: 'file', path: `/files/${fileId}`, isMissing },
    { name: 'adapters', path: '/adapters' },
    { name: 'adapters-deleted', path: '/adapters?show=deleted' },
    {
      name: 'adapters-compare',
      path: `/adapters/compare?${seeded ? new URLSearchParams({ a: models[0], b: models[1] }) : ''}`,
    },
    { name: 'adapters-combine', path: '/adapters/combine' },
    { name: 'adapter', path: `/adapters/${adapterId}`, isMissing },
    { name: 'playground', path: '/playground' },
    { name: 'team', path: '/team' },
    { name: 'team-keys', path: '/team/keys' },
    { name: 'team-use', path: '/team/use?by=model' },
    { name: 'team-webhooks', path: '/team/webhooks' },
    { name: 'team-webhook', path: `/team/webhooks/${webhookId}`, isMissing },
    { name: 'team-hub', path: '/team/hub' },
    { name: 'team-audit', path: '/team/audit' },
    ...['', '/workers', '/queue', '/teams', '/base-models'].map((part) => ({
      name: `operator${part.replace('/', '-')}`,
      path: `/operator${part}`,
      as: 'operator' as const,
    })),
    { name: 'operator-by-others', path: '/operator' },
    { name: 'invitation', path: '/invitations/accept#graftinv_none', as: null },
    { name: 'sign-in', path: '/sign-in', as: null },
    { name: 'no-such-page', path: '/jobs/x/y' },
    { name: 'components', path: '/_components' },
  ];
}

const none: Seeded = {
  fileId: 'file-none',
  adapterId: 'adapter-none',
  webhookId: 'whep-none',
  models: ['', ''],
  jobIds: { trains: 'ftjob-none', sweep: '', failed: '', succeeded: '' },
};

let bench: BrowserBench;
let operator: Caller;

test('every page of the dashboard is covered', () => {
  const source = readFileSync(path.join(import.meta.dirname, '../../apps/web/src/pages.tsx'), 'utf8');
  const patterns = [...source.matchAll(/path: '([^']+)'/g)].map(([, path]) => path!);
  assert.ok(patterns.length > 10, `${patterns.length} paths were found`);
  const paths = shownPages(null).map(({ path }) => path.replace(/[?#].*/, ''));
  const missed = patterns.filter((pattern) => {
    const fits = new RegExp(`^${pattern.replace(/\/:\w+\?/g, '(/[^/]+)?').replace(/:\w+/g, '[^/]+')}$`);
    return !paths.some((path) => fits.test(path));
  });
  assert.deepEqual(missed, []);
});

for (const count of counts) {
  test(`${isWhole ? `every page whose name begins with '${only}'` : 'every long list'} holds with ${count} of all`, async (t) => {
    // A new installation for each count, so that no list has more items.
    bench = await openBrowserBench();
    t.after(async () => await bench.close());
    operator = await bench.operator();
    const name = `${'team-'.repeat(6)}${count}`;
    const team = { teamId: (await createTeam(bench.services, { name })).id, teamName: name };
    const admin = await bench.caller({ ...bench.acme, ...team }, 'admin');
    const seeded = count === 0 ? null : await seedTeam(bench, admin, count);
    if (count > 0) await seedService(bench, count);
    const faults: string[] = [];
    for (const view of views) {
      for (const shown of shownPages(seeded).filter(({ name }) =>
        isWhole ? name.startsWith(only) : lists.has(name),
      )) {
        const place = `${shown.name} with ${count} at ${view.width} px, ${view.scheme}`;
        const start = performance.now();
        const found = await look(shown, admin, view, `${shown.name}-${count}-${view.width}-${view.scheme}`);
        if (isWhole)
          console.log(`${((performance.now() - start) / 1000).toFixed(1).padStart(5)} s  ${place}`);
        faults.push(...found.map((fault) => `${place}: ${fault}`));
      }
    }
    assert.deepEqual(faults, []);
  });
}

/** The problems of a page. They are reported together at the end, so that one run shows all. */
async function look(shown: Shown, admin: Caller, view: VisitOptions, picture: string): Promise<string[]> {
  const caller = shown.as === undefined ? admin : shown.as && operator;
  // Keeps live workers alive, however long the test takes.
  await bench.services.sql.query(
    "UPDATE workers SET heartbeat_at = now() WHERE heartbeat_at > now() - interval '30 min'",
  );
  const visit = await bench.visit(caller, shown.path, view);
  const { page } = visit;
  const faults: string[] = [];
  const note = async (part: Promise<unknown>) =>
    void (await part.catch(({ message }) => faults.push(message)));
  if (shown.isMissing || shown.as === null) visit.expect(/status of 40[014]/);
  await note(page.getByRole('heading', { level: 1 }).first().waitFor());
  await note(untilQuiet(page));
  const shift = await page.evaluate(shiftOf);
  if (shift.sum > maxShift) faults.push(`moved by ${shift.sum.toFixed(2)}: ${shift.what}`);
  faults.push(...(await layoutFaults(page)));
  await note(visit.checkAccess());
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  await visit.picture(picture, height > tallest ? 'window' : 'page');
  await note(visit.leave());
  return faults;
}

/** Waits until the DOM is stable. The network is never idle, because an event stream stays open. */
async function untilQuiet(page: Page): Promise<void> {
  await page.waitForFunction(
    () => document.querySelector('main .waiting:not(.components-states *)') === null,
  );
  await page.evaluate(
    () =>
      new Promise<void>((resolve) => {
        // Pages that never settle are checked after 10 s.
        setTimeout(resolve, 10_000);
        let timer = setTimeout(resolve, 400);
        new MutationObserver(() => {
          clearTimeout(timer);
          timer = setTimeout(resolve, 400);
        }).observe(document.body, { subtree: true, childList: true });
      }),
  );
}

/** The cumulative layout shift of the page, and the elements that moved. */
async function shiftOf(): Promise<{ sum: number; what: string }> {
  interface Shift extends PerformanceEntry {
    value: number;
    sources: { node: Node | null }[];
  }
  const entries = await new Promise<Shift[]>((resolve) => {
    const observer = new PerformanceObserver((list) => resolve(list.getEntries() as Shift[]));
    observer.observe({ type: 'layout-shift', buffered: true });
    setTimeout(resolve, 100, []);
  });
  const sum = entries.reduce((total, { value }) => total + value, 0);
  const what = entries
    .flatMap(({ sources }) =>
      sources.map(({ node }) => (node as Element | null)?.className ?? node?.nodeName),
    )
    .join(', ');
  return { sum, what };
}
