/** The job list: filters in the URL, actions with undo, live rows, a thousand jobs, and no jobs. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { leaseOf, recordMetrics, recordProgress } from '@graft/service/jobs';
import { runJob } from '../../apps/api/src/testing/run-job.ts';
import { type BrowserBench, openBrowserBench } from './browser-bench.ts';
import { seedJobs } from './seed/jobs.ts';

let bench: BrowserBench;
before(async () => {
  bench = await openBrowserBench();
});
after(async () => await bench?.close());

const longName = 'a-name-that-goes-on-and-on-until-nobody-wants-to-read-it-anymore';

test('without jobs the page offers an example, and one click trains it', async () => {
  const visit = await bench.visit(bench.other, '/jobs');
  const { page } = visit;
  await page.getByRole('heading', { name: 'No jobs yet' }).waitFor();
  await visit.checkAccess();
  await visit.picture('first-run');
  await page.getByRole('button', { name: 'Train the example' }).click();
  await page.getByRole('heading', { name: 'bike-shop', level: 1 }).waitFor();
  assert.match(new URL(page.url()).pathname, /^\/jobs\/ftjob-/);
  const { json: files } = await bench.other.send('GET', '/v1/files');
  assert.deepEqual([files.data.length, files.data[0].filename], [1, 'bike-shop.jsonl']);
  await visit.leave();
});

test('a viewer sees jobs without actions', async () => {
  const [id] = await seedJobs(bench, [{ status: 'running', suffix: 'watched', steps: 20, totalSteps: 40 }]);
  const viewer = await bench.caller(bench.acme, 'viewer');
  const visit = await bench.visit(viewer, '/jobs?search=watched');
  const { page } = visit;
  await page.getByRole('link', { name: 'watched' }).waitFor();
  for (const verb of [/^Pause/, /^Cancel/, /^Clone/]) {
    assert.equal(await page.getByRole('button', { name: verb }).count(), 0, String(verb));
  }
  await page.goto(`/jobs/${id}`);
  await page.getByRole('heading', { name: 'watched', level: 1 }).waitFor();
  assert.equal(await page.getByRole('button', { name: /^Clone/ }).count(), 0);
  await visit.leave();
});

test('filters and the search are in the URL, and survive a reload and going back', async () => {
  await seedJobs(bench, [
    { status: 'failed', suffix: 'billing' },
    { status: 'succeeded', suffix: 'billing-tone', steps: 60 },
    { status: 'succeeded', suffix: longName, steps: 40 },
  ]);
  const visit = await bench.visit(bench.acme, '/jobs');
  // The seeded job's model does not exist, and its page opens on the result.
  visit.expect(/status of 404/);
  const { page } = visit;
  const row = (name: string) => page.getByRole('link', { name, exact: true });
  await page.getByRole('searchbox', { name: 'Search' }).fill('billing');
  await page.waitForURL(/search=billing/);
  await row('billing').waitFor();
  await row(longName).waitFor({ state: 'detached' });
  await page.getByLabel('Status').selectOption('succeeded');
  await row('billing').waitFor({ state: 'detached' });
  await row('billing-tone').waitFor();
  await page.reload();
  await row('billing-tone').waitFor();
  assert.equal(await page.getByRole('searchbox', { name: 'Search' }).inputValue(), 'billing');
  await row('billing-tone').click();
  await page.getByRole('heading', { name: 'billing-tone', level: 1 }).waitFor();
  await page.goBack();
  await row('billing-tone').waitFor();
  await page.getByRole('searchbox', { name: 'Search' }).fill('nobody’s');
  await page.getByRole('heading', { name: 'No matching jobs' }).waitFor();
  await visit.checkAccess();
  await page.getByRole('button', { name: 'Clear filters' }).click();
  await row('billing').waitFor();
  assert.equal(new URL(page.url()).search, '');
  await visit.leave();
});

test('pausing offers undo, cancelling asks for confirmation, cloning opens the new job', async () => {
  await seedJobs(bench, [{ status: 'queued', suffix: 'acted-on' }]);
  const visit = await bench.visit(bench.acme, '/jobs?search=acted-on');
  const { page } = visit;
  const status = (word: string) =>
    page.getByRole('row').filter({ hasText: 'acted-on' }).getByText(word, { exact: true });
  await page.getByRole('button', { name: 'Pause acted-on' }).click();
  await status('Paused').waitFor();
  await page.getByRole('button', { name: 'Undo' }).click();
  await status('Queued').waitFor();

  await page.getByRole('button', { name: 'Clone acted-on' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill('-not-a-name');
  await dialog.getByText('Use letters, digits, dots').waitFor();
  await visit.checkAccess();
  await dialog.getByLabel('Name').fill('acted-twice');
  await dialog.getByLabel(/New random seed/).check();
  await dialog.getByRole('button', { name: 'Clone' }).click();
  await page.getByRole('heading', { name: 'acted-twice', level: 1 }).waitFor();
  await page.getByRole('button', { name: 'Undo' }).click();
  await page.getByText('Cancelled', { exact: true }).waitFor();

  await page.getByRole('link', { name: 'Jobs', exact: true }).first().click();
  await page.getByRole('button', { name: 'Cancel acted-on' }).click();
  await page.getByRole('button', { name: 'Back' }).click();
  await status('Queued').waitFor();
  await page.getByRole('button', { name: 'Cancel acted-on' }).click();
  await page.getByRole('button', { name: 'Cancel job' }).click();
  await status('Cancelled').waitFor();
  await visit.leave();
});

test('changes by other users appear, and rejected actions show the request id', async () => {
  const [id] = await seedJobs(bench, [{ status: 'queued', suffix: 'of-two' }]);
  const ada = await bench.visit(bench.acme, '/jobs?search=of-two');
  const bob = await bench.visit(bench.acme, '/jobs?search=of-two');
  const offline = await bench.visit(bench.acme, '/_components');
  await offline.page.route('**/jobs/changes', (route) => route.abort());
  offline.expect(/ERR_FAILED|status of 400/);
  await offline.page.goto('/jobs?search=of-two');
  for (const { page } of [ada, bob, offline])
    await page.getByRole('button', { name: 'Pause of-two' }).waitFor();

  await bob.page.getByRole('button', { name: 'Cancel of-two' }).click();
  await bob.page.getByRole('button', { name: 'Cancel job' }).click();
  await ada.page.getByRole('row').filter({ hasText: 'of-two' }).getByText('Cancelled').waitFor();
  assert.equal(await ada.page.getByRole('button', { name: 'Pause of-two' }).count(), 0);
  // Without a stream it polls, and until then still shows the button.
  await offline.page.getByRole('button', { name: 'Pause of-two' }).click();
  await offline.page.getByText(/request req_[0-9a-f]{24}/).waitFor();
  await offline.page.getByRole('row').filter({ hasText: 'of-two' }).getByText('Cancelled').waitFor();
  assert.equal((await bench.acme.send('GET', `/v1/fine_tuning/jobs/${id}`)).json.status, 'cancelled');
  for (const visit of [ada, bob, offline]) await visit.leave();
});

test('a loss with many digits stays on its line, next to its curve', async () => {
  const [id] = await seedJobs(bench, [
    { status: 'running', suffix: 'small-loss', steps: 20, totalSteps: 40 },
  ]);
  await bench.services.sql.query(
    `UPDATE jobs SET progress = jsonb_set(progress, '{loss}', '0.003911') WHERE id = $1`,
    [id],
  );
  for (const width of [1280, 1000]) {
    const visit = await bench.visit(bench.acme, '/jobs?search=small-loss', { width });
    const { page } = visit;
    const loss = page.getByText('0.003911', { exact: true });
    await loss.waitFor();
    assert.equal(await loss.evaluate((shown) => shown.getClientRects().length), 1);
    const isWithin = await loss.evaluate(
      (shown) => shown.getBoundingClientRect().right <= shown.closest('td')!.getBoundingClientRect().right,
    );
    assert.ok(isWithin, `the loss is wider than its column at ${width} px`);
    await visit.checkAccess();
    await visit.picture(`jobs-small-loss-${width}`);
    await visit.leave();
  }
});

test('a running job updates in the list', async () => {
  const training_file = await bench.acme.upload('{"prompt":"a","completion":"b"}\n');
  const created = await bench.acme.send('POST', '/v1/fine_tuning/jobs', {
    model: 'tiny',
    training_file,
    suffix: 'moving',
  });
  const visit = await bench.visit(bench.acme, '/jobs?search=moving');
  const row = visit.page.getByRole('row').filter({ hasText: 'moving' });
  await row.waitFor();
  const job = await runJob(bench, created.json.id);
  await row.getByText('Running').waitFor();
  const progress = { totalSteps: 40, epoch: 1, tokens: 10, tokensPerSecond: 5, secondsRemaining: 60 };
  for (const step of [10, 30]) {
    await recordMetrics(bench.services, leaseOf(job), [
      { kind: 'train', step, epoch: 1, loss: 2, tokens: 1, metrics: {} },
    ]);
    await recordProgress(bench.services, leaseOf(job), { ...progress, step, loss: 1.25 });
    await row.getByText(`${step} of 40 steps`).waitFor();
  }
  await row.getByText('1.25').waitFor();
  await visit.leave();
});

test('a thousand jobs load page by page as the list is scrolled, each once', async () => {
  const statuses = ['succeeded', 'failed', 'cancelled', 'paused'] as const;
  await seedJobs(
    bench,
    Array.from({ length: 1000 }, (_, i) => ({
      status: statuses[i % 4]!,
      suffix: `many-${i}`,
      steps: i % 4 === 1 ? 0 : 12,
    })),
  );
  const visit = await bench.visit(bench.acme, '/jobs?search=many-');
  const { page } = visit;
  await page.getByRole('link', { name: 'many-999' }).waitFor();
  const pages: string[] = [];
  page.on('request', (request) => {
    const after = new URL(request.url()).searchParams.get('after');
    if (after !== null) pages.push(after);
  });
  const last = page.getByRole('link', { name: 'many-0', exact: true });
  // More pages load near the end, at a speed that depends on the machine.
  for (const end = performance.now() + 60_000; (await last.count()) === 0 && performance.now() < end; )
    await page.mouse.wheel(0, 2000);
  await last.waitFor();
  assert.ok(pages.length > 1, `${pages.length} more pages`);
  assert.deepEqual(pages, [...new Set(pages)]);
  assert.equal(await page.getByRole('row').count(), 1001);
  await visit.leave();
});

for (const [width, scheme] of [
  [390, 'dark'],
  [1280, 'light'],
  [2560, 'dark'],
] as const) {
  test(`the list fits at ${width} px, ${scheme}, with very long names`, async () => {
    const visit = await bench.visit(bench.acme, '/jobs?search=n', { width, scheme });
    await visit.page
      .getByRole('link', { name: longName })
      .or(visit.page.getByRole('link', { name: /many/ }).first())
      .first()
      .waitFor();
    await visit.checkAccess();
    await visit.picture(`jobs-${width}-${scheme}`);
    await visit.leave();
  });
}
