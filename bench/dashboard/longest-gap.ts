import type { Page } from 'playwright-core';

/** Watches the page's frames. The returned function gives the longest time between two frames, in milliseconds. */
export async function watchFrames(page: Page): Promise<() => Promise<number>> {
  await page.evaluate(() => {
    const watched = { gap: 0 };
    Object.assign(globalThis, { watched });
    let before: number | null = null;
    const frame = (at: number) => {
      watched.gap = Math.max(watched.gap, at - (before ?? at));
      before = at;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
  return async () =>
    await page.evaluate(() => (globalThis as unknown as { watched: { gap: number } }).watched.gap);
}
