/**
 * A person's browser: a real Chromium on the pages of a running API. What a page writes to the console, throws, or breaks of its
 * policy fails the test that opened it.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { type CDPSession, chromium, type Page } from 'playwright-core';
import { findChromium } from '../../scripts/tools/chromium.ts';

export interface Visit {
  page: Page;
  /**
   * The next complaints that fit are what is tested: a browser notes each failed request. `visit.expect(/ 404 /)`.
   */
  expect(complaint: RegExp): void;
  /** Nothing that a person with a screen reader, a keyboard or a narrow window stumbles over. */
  checkAccess(): Promise<void>;
  /** Keeps a picture of the page, whole or what the window shows of it, where GRAFT_PICTURES names a folder; else does nothing. */
  picture(name: string, of?: 'page' | 'window'): Promise<void>;
  /** Closes it, and fails with what it complained of. */
  leave(): Promise<void>;
}

export interface VisitOptions {
  width?: number;
  height?: number;
  scheme?: 'light' | 'dark';
  locale?: string;
}

export interface Visits {
  /** A browser of its own at a path, signed in by a key unless that is null. */
  visit(key: string | null, path: string, options?: VisitOptions): Promise<Visit>;
  close(): Promise<void>;
}

/** From now on the page fetches everything anew, as a browser that has never seen it; what it fetches is told by the answer. */
export async function forgetCache(page: Page): Promise<CDPSession> {
  await page.goto('about:blank');
  const network = await page.context().newCDPSession(page);
  await network.send('Network.enable');
  await network.send('Network.setCacheDisabled', { cacheDisabled: true });
  return network;
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** `baseUrl`: where the pages are, as in `http://127.0.0.1:8000`. */
export async function openVisits(baseUrl: string): Promise<Visits> {
  const browser = await chromium.launch({ executablePath: findChromium() });

  const visit: Visits['visit'] = async (key, path, options = {}) => {
    const { width = 1280, height = 900, scheme = 'light', locale = 'en-GB' } = options;
    const context = await browser.newContext({
      ...{ baseURL: baseUrl, locale, timezoneId: 'UTC', colorScheme: scheme },
      ...{ viewport: { width, height }, reducedMotion: 'reduce' },
    });
    // Much on a machine that does other work, and still short where something never comes.
    context.setDefaultTimeout(60_000);
    // tsx gives functions their names by a helper that pages do not have.
    await context.addInitScript('globalThis.__name = (named) => named');
    const page = await context.newPage();
    const complaints: string[] = [];
    const expected: RegExp[] = [];
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) {
        complaints.push(`${message.type()}: ${message.text()} at ${message.location().url}`);
      }
    });
    page.on('pageerror', (error) => complaints.push(`thrown: ${error.stack ?? error.message}`));
    if (key !== null) {
      const answer = await context.request.post('/v1/sign-in/key', {
        data: { key },
        headers: { 'x-graft-csrf': '1' },
      });
      assert.equal(answer.status(), 200, await answer.text());
    }
    await page.goto(path);
    return {
      page,
      expect: (complaint) => void expected.push(complaint),
      checkAccess: async () => {
        const tooWide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(tooWide <= 0, `the page is ${tooWide} px wider than the window`);
        await page.evaluate(axe);
        const violations = await page.evaluate(async () => {
          const { axe } = globalThis as unknown as { axe: typeof import('axe-core') };
          const found = await axe.run(document, { resultTypes: ['violations'] });
          return found.violations.map(({ id, help, nodes }) => ({
            ...{ id, help },
            nodes: nodes.slice(0, 3).map(({ html, failureSummary }) => `${html}\n${failureSummary}`),
          }));
        });
        assert.deepEqual(violations, []);
      },
      picture: async (name, of = 'page') => {
        const folder = process.env.GRAFT_PICTURES;
        if (folder) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: of === 'page' });
      },
      leave: async () => {
        await context.close();
        const unexpected = complaints.filter((complaint) => !expected.some((each) => each.test(complaint)));
        assert.deepEqual(unexpected, []);
      },
    };
  };

  return { visit, close: async () => await browser.close() };
}
