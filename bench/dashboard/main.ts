/**
 * npm run bench:dashboard: how quick the dashboard feels in Chromium on a real API with seeded jobs: largest paint, long tasks while
 * jobs stream, scrolling, and the drawing of a long series.
 *
 * npm run bench:dashboard -- [--check]
 *   --check  fails where a figure is beyond its target
 */
import { commandLine } from '../../scripts/command-line.ts';
import { describeMachine, facts, markdownTable } from '../../scripts/measuring/report.ts';
import { openBrowserBench } from '../../test/browser/browser-bench.ts';
import { seedJobs } from '../../test/browser/seed/jobs.ts';
import { drawing, type Figure, largestPaint, longestGap, longestTask } from './figures.ts';

const options = commandLine({ check: { type: 'boolean', default: false } });

const bench = await openBrowserBench();
try {
  const figures: Figure[] = [];
  const add = (figure: Figure) => {
    figures.push(figure);
    console.error(`${figure.name}: ${Math.round(figure.measured)} ms`);
  };
  const usual = await seedJobs(
    bench,
    Array.from({ length: 40 }, (_, i) => ({
      status: 'succeeded' as const,
      suffix: `usual-${i}`,
      steps: 2_000,
    })),
  );
  add(await largestPaint(bench, 'Largest paint of /jobs', '/jobs'));
  add(await largestPaint(bench, 'Largest paint of a job', `/jobs/${usual.at(-1)}?tab=curves`));
  add(await drawing(bench));
  add(
    await longestTask(
      bench,
      'Longest task of /jobs while jobs stream',
      () => '/jobs?search=streams-',
      async (page) => await page.locator('.job-progress').first().textContent(),
    ),
  );
  add(
    await longestTask(
      bench,
      'Longest task of /compare while jobs stream',
      (ids) => `/compare?jobs=${ids}`,
      async (page) =>
        await page
          .getByRole('img', { name: /^Training loss/ })
          .first()
          .getAttribute('aria-label'),
    ),
  );
  add(await longestGap(bench));

  console.log(`\n${facts(describeMachine(null))}\n`);
  const ms = (value: number) => `${Math.round(value)} ms`;
  const rows = figures.map(({ name, measured, target, note }) => [name, ms(measured), ms(target), note]);
  console.log(markdownTable(['figure', 'measured', 'target', ''], rows));
  const beyond = figures.filter(({ measured, target }) => measured > target);
  if (options.check && beyond.length > 0) {
    console.error(`\nbeyond their targets: ${beyond.map(({ name }) => name).join('; ')}`);
    process.exitCode = 1;
  }
} finally {
  await bench.close();
}
