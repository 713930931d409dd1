import type { Page } from 'playwright-core';

/** Opens a job's page. Returns the milliseconds from the arrival of its metrics until its six charts are painted. */
export async function timeDrawing(page: Page, path: string): Promise<number> {
  await page.addInitScript(() => {
    const fetched = globalThis.fetch;
    globalThis.fetch = async (input, init) => {
      const response = await fetched(input, init);
      if (!String(input).includes('/metrics?')) return response;
      const text = await response.text();
      const arrived = performance.now();
      new MutationObserver((_, observer) => {
        if (document.querySelectorAll('.chart canvas').length < 6) return;
        observer.disconnect();
        // The frame after the one that paints them.
        requestAnimationFrame(() =>
          requestAnimationFrame(() => Object.assign(globalThis, { took: performance.now() - arrived })),
        );
      }).observe(document.body, { childList: true, subtree: true });
      return new Response(text, response);
    };
  });
  await page.goto(path);
  await page.waitForFunction(() => 'took' in globalThis);
  return await page.evaluate(() => (globalThis as unknown as { took: number }).took);
}
