/** How quick the pages feel, measured in Chromium on a real API: each figure beside what it may be. */
import { setTimeout as sleep } from 'node:timers/promises';
import { getJob, leaseOf, recordMetrics, recordProgress } from '@graft/service/jobs';
import type { Page } from 'playwright-core';
import { median } from '../../scripts/measuring/report.ts';
import type { BrowserBench, Visit } from '../../test/browser/browser-bench.ts';
import { seedJobs } from '../../test/browser/seed/jobs.ts';
import { timeDrawing } from '../../test/browser/time-drawing.ts';
import { forgetCache } from '../../test/browser/visits.ts';

export interface Figure {
  name: string;
  /** Milliseconds. */
  measured: number;
  target: number;
  note: string;
}

/** Visits of one page; the figure is their median. */
const rounds = 5;

/** Jobs that are alike but for the numbers of their suffixes. */
export const seedMany = (
  bench: BrowserBench,
  length: number,
  name: string,
  job: Parameters<typeof seedJobs>[1][number],
): Promise<string[]> =>
  seedJobs(
    bench,
    Array.from({ length }, (_, i) => ({ ...job, suffix: `${name}-${i}` })),
  );

/** The largest paint of a page that this browser has never seen, median of five. */
export async function largestPaint(bench: BrowserBench, name: string, path: string): Promise<Figure> {
  const paints: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const visit = await bench.visit(bench.acme, '/sign-in');
    const { page } = visit;
    await forgetCache(page);
    await page.addInitScript(() => {
      new PerformanceObserver((list) => {
        for (const { startTime } of list.getEntries()) Object.assign(globalThis, { largest: startTime });
      }).observe({ type: 'largest-contentful-paint', buffered: true });
    });
    await page.goto(path);
    await page.getByRole('heading', { level: 1 }).waitFor();
    // Later paints are not the page's first view.
    await sleep(1_500);
    paints.push(await page.evaluate(() => (globalThis as unknown as { largest: number }).largest));
    await visit.leave();
  }
  return { name, measured: median(paints), target: 1_000, note: `median of ${rounds}, nothing cached` };
}

/**
 * The longest time that the page's thread was blocked while five jobs train, each with two steps a second. `progressText` reads the progress
 * that the page shows, which must have changed at the end.
 */
export async function longestTask(
  bench: BrowserBench,
  name: string,
  pathOf: (ids: string[]) => string,
  progressText: (page: Page) => Promise<string | null>,
): Promise<Figure> {
  const seconds = 20;
  const ids = await seedMany(bench, 5, 'streams', { status: 'running', steps: 2_000, totalSteps: 4_000 });
  const visit = await bench.visit(bench.acme, pathOf(ids));
  const { page } = visit;
  await page.getByText('streams-4').filter({ visible: true }).first().waitFor();
  // The time to open the page is a separate figure.
  await sleep(3_000);
  await page.evaluate(() => {
    const longest = { longest: 0 };
    Object.assign(globalThis, longest);
    new PerformanceObserver((list) => {
      const now = globalThis as unknown as typeof longest;
      for (const { duration } of list.getEntries()) now.longest = Math.max(now.longest, duration);
    }).observe({ type: 'longtask' });
  });
  const before = await progressText(page);
  for (let step = 2_001; step <= 2_000 + 2 * seconds; step++) {
    await Promise.all([sleep(500), ...ids.map((id) => train(bench, id, step))]);
  }
  const measured = await page.evaluate(() => (globalThis as unknown as { longest: number }).longest);
  if ((await progressText(page)) === before) throw new Error(`the page did not follow the jobs: ${before}`);
  await visit.leave();
  return { name, measured, target: 100, note: `5 jobs for ${seconds} s; 0: none of 50 ms` };
}

async function train({ services, acme }: BrowserBench, id: string, step: number): Promise<void> {
  const lease = leaseOf((await getJob(services, acme.teamId, id))!);
  const loss = 0.4 + Math.random() / 10;
  const common = { epoch: 1, tokens: step * 100 };
  const metrics = { token_accuracy: 0.7, learning_rate: 1e-4, grad_norm: 1, tokens_per_second: 800 };
  await recordMetrics(services, lease, [{ ...common, kind: 'train', step, loss, metrics }]);
  await recordProgress(services, lease, {
    ...common,
    tokensPerSecond: 800,
    step,
    totalSteps: 4_000,
    secondsRemaining: (4_000 - step) / 2,
    loss,
  });
}

/** The longest time without a frame while a thousand jobs are scrolled through. */
export async function longestGap(bench: BrowserBench): Promise<Figure> {
  await seedMany(bench, 1_000, 'many', { status: 'succeeded', steps: 3 });
  const visit = await bench.visit(bench.acme, '/jobs?search=many-');
  const { page } = visit;
  await page.getByText('many-999').first().waitFor();
  const gap = await watchFrames(page);
  await page.mouse.move(640, 450);
  const end = page.getByText('1,000 shown');
  while (!(await end.isVisible())) {
    await page.mouse.wheel(0, 600);
    await sleep(50);
  }
  for (let back = 0; back < 40; back++) {
    await page.mouse.wheel(0, -900);
    await sleep(50);
  }
  const measured = await gap();
  await visit.leave();
  return { name: '1,000 jobs scrolled: longest time without a frame', measured, target: 1_000, note: '' };
}

/** Watches the page's frames. The returned function gives the longest time between two frames, in milliseconds. */
async function watchFrames(page: Page): Promise<() => Promise<number>> {
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

/** From the arrival of a series' values until all six charts of the job's page stand, median of five. */
export async function drawing(bench: BrowserBench): Promise<Figure> {
  const [id] = await seedJobs(bench, [{ status: 'succeeded', suffix: 'long', steps: 300_000 }]);
  const took: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const visit: Visit = await bench.visit(bench.acme, '/_components');
    took.push(await timeDrawing(visit.page, `/jobs/${id}?tab=curves`));
    await visit.leave();
  }
  return {
    name: '300,000 steps drawn after their arrival',
    measured: median(took),
    target: 300,
    note: `median of ${rounds}; the longest ${Math.round(Math.max(...took))} ms`,
  };
}
