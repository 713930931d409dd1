/**
 * Opens pages of a running API in Chromium. Console errors, exceptions and violations of the content security policy fail the test that
 * opened the page.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { type CDPSession, chromium, type Page } from 'playwright-core';
import { findChromium } from '../../scripts/tools/chromium.ts';

export interface Visit {
  page: Page;
  /** Allows console messages that match, such as those of failed requests: `visit.expect(/ 404 /)`. */
  expect(message: RegExp): void;
  /** Fails on axe violations and if the page is wider than the window. */
  checkAccess(): Promise<void>;
  /** Saves a screenshot of the page or window in the folder GRAFT_PICTURES; does nothing without it. */
  picture(name: string, of?: 'page' | 'window'): Promise<void>;
  /** Closes the page, and fails on unexpected console messages. */
  leave(): Promise<void>;
}

export interface VisitOptions {
  width?: number;
  height?: number;
  scheme?: 'light' | 'dark';
  locale?: string;
}

export interface Visits {
  /** Opens a path in a separate browser context, signed in with a key unless that is null. */
  visit(key: string | null, path: string, options?: VisitOptions): Promise<Visit>;
  close(): Promise<void>;
}

/** Disables the page's cache, as on a first visit. The returned session reports its network traffic. */
export async function forgetCache(page: Page): Promise<CDPSession> {
  await page.goto('about:blank');
  const network = await page.context().newCDPSession(page);
  await network.send('Network.enable');
  await network.send('Network.setCacheDisabled', { cacheDisabled: true });
  return network;
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Opens parts of the form of a new job. */
export async function unfold(page: Page, ...titles: string[]): Promise<void> {
  for (const title of titles) {
    const details = page.getByRole('region', { name: title, exact: true }).locator('details').first();
    if ((await details.getAttribute('open')) === null) await details.locator('summary').first().click();
  }
}

/** `baseUrl`: origin of the pages, such as `http://127.0.0.1:8000`. */
export async function openVisits(baseUrl: string): Promise<Visits> {
  const browser = await chromium.launch({ executablePath: findChromium() });

  const visit: Visits['visit'] = async (key, path, options = {}) => {
    const { width = 1280, height = 900, scheme = 'light', locale = 'en-GB' } = options;
    const context = await browser.newContext({
      baseURL: baseUrl,
      locale,
      timezoneId: 'UTC',
      colorScheme: scheme,
      viewport: { width, height },
      reducedMotion: 'reduce',
    });
    // Long enough for a busy machine.
    context.setDefaultTimeout(60_000);
    // tsx compiles functions with a `__name` helper that pages do not have.
    await context.addInitScript('globalThis.__name = (named) => named');
    const page = await context.newPage();
    const messages: string[] = [];
    const expected: RegExp[] = [];
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) {
        messages.push(`${message.type()}: ${message.text()} at ${message.location().url}`);
      }
    });
    page.on('pageerror', (error) => messages.push(`thrown: ${error.stack ?? error.message}`));
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
      expect: (pattern) => void expected.push(pattern),
      checkAccess: async () => {
        const tooWide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(tooWide <= 0, `the page is ${tooWide} px wider than the window`);
        await page.evaluate(axe);
        const violations = await page.evaluate(async () => {
          const { axe } = globalThis as unknown as { axe: typeof import('axe-core') };
          const found = await axe.run(document, { resultTypes: ['violations'] });
          return found.violations.map(({ id, help, nodes }) => ({
            id,
            help,
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
        const unexpected = messages.filter((text) => !expected.some((each) => each.test(text)));
        assert.deepEqual(unexpected, []);
      },
    };
  };

  return { visit, close: async () => await browser.close() };
}
