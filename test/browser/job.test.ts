/** A job's page: curves, configuration, events, checkpoints, history and result, with live updates. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { leaseOf, publishAdapterVersion, recordMetrics, recordProgress } from '@graft/service/jobs';
import { keepCheckpoint } from '../../apps/api/src/testing/keep-checkpoint.ts';
import { publishAdapter } from '../../apps/api/src/testing/publish-adapter.ts';
import { runJob } from '../../apps/api/src/testing/run-job.ts';
import { type BrowserBench, openBrowserBench } from './browser-bench.ts';
import { seedJobs } from './seed/jobs.ts';
import { timeDrawing } from './time-drawing.ts';

let bench: BrowserBench;
before(async () => {
  bench = await openBrowserBench();
});
after(async () => await bench?.close());

const tab = (name: string) => ({ name, exact: true });

test('curves have a text description, smoothing, log scale and zoom, all in the URL', async () => {
  const [id] = await seedJobs(bench, [{ status: 'succeeded', suffix: 'curved', steps: 2_000 }]);
  const visit = await bench.visit(bench.acme, `/jobs/${id}?tab=curves`);
  const { page } = visit;
  const loss = page.getByRole('img', { name: /^Loss: training from .* to .*; evaluation from/ });
  await loss.waitFor();
  for (const name of ['Token accuracy', 'Learning rate', 'Gradient norm', 'Tokens per second'])
    await page.getByRole('img', { name: new RegExp(`^${name}: .* from `) }).waitFor();
  await page.getByRole('img', { name: /^Memory: used from 1\.5 GB to 1\.6 GB/ }).waitFor();
  await visit.checkAccess();
  await visit.picture('job-curves');

  await page.getByText('Very smooth', { exact: true }).click();
  await page.getByLabel('Log scale').check();
  await page.waitForURL(/smooth=0.95.*log=1|log=1.*smooth=0.95/);
  const box = (await loss.boundingBox())!;
  await page.mouse.move(box.x + box.width * 0.4, box.y + 60);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + 60, { steps: 5 });
  await page.mouse.up();
  const all = page.getByRole('button', { name: /show all$/ });
  await all.waitFor();
  const [from, to] = ['from', 'to'].map((name) => Number(new URL(page.url()).searchParams.get(name)));
  assert.ok(from! > 500 && to! < 1500 && to! > from!, `${from} to ${to}`);
  await page.reload();
  await all.waitFor();
  await loss.focus();
  await page.keyboard.press('ArrowRight');
  await page.waitForFunction(
    (before) => Number(new URL(location.href).searchParams.get('from')) > before,
    from!,
  );
  await page.keyboard.press('0');
  await all.waitFor({ state: 'detached' });
  await page.getByText('Time', { exact: true }).click();
  await page.waitForURL(/along=time/);
  await visit.leave();
});

test('a job of an earlier version has no memory chart', async () => {
  const [id] = await seedJobs(bench, [
    { status: 'succeeded', suffix: 'unmeasured', steps: 20, isWithoutMemory: true },
  ]);
  const visit = await bench.visit(bench.acme, `/jobs/${id}?tab=curves`);
  const { page } = visit;
  await page.getByRole('img', { name: /^Tokens per second: speed from / }).waitFor();
  const charts = page.getByRole('region', { name: 'Curves' }).locator('figcaption strong');
  assert.deepEqual(await charts.allInnerTexts(), [
    ...['Loss', 'Token accuracy', 'Learning rate', 'Gradient norm', 'Tokens per second'],
  ]);
  await visit.leave();
});

for (const [width, scheme] of [
  [390, 'dark'],
  [1280, 'light'],
] as const) {
  test(`trials of a sweep are drawn on one axis, and no axis has shares above 1, at ${width} px`, async () => {
    const sweep = { grid: { learning_rate: [0.0001, 0.001] }, peft: {}, trials: [] };
    const [id] = await seedJobs(bench, [{ status: 'succeeded', suffix: `swept-${width}`, steps: 40, sweep }]);
    const { sql } = bench.services;
    await sql.query(
      `UPDATE job_metrics SET trial = 1 + (step - 1) / 20, trial_step = 1 + (step - 1) % 20,
         metrics = metrics || '{"token_accuracy": 1}' WHERE job_id = $1`,
      [id],
    );
    await sql.query(
      `INSERT INTO job_trials (team_id, job_id, trial, peft, training, step, status, rungs)
       SELECT team_id, id, n, peft, jsonb_build_object('learning_rate', 0.00001 * 10 ^ n), 20,
         (ARRAY['won', 'stopped'])[n], jsonb_build_array(jsonb_build_object('step', 20, 'loss', 0.5 * n))
       FROM jobs, generate_series(1, 2) n WHERE id = $1`,
      [id],
    );
    const visit = await bench.visit(bench.acme, `/jobs/${id}?tab=curves`, { width, scheme });
    const { page } = visit;
    const ends = /: Trial 1 from .* at [\d,]+; Trial 2 from .* at 20$/;
    await page.getByRole('img', { name: new RegExp(`^Evaluation loss${ends.source}`) }).waitFor();
    await page.getByRole('img', { name: new RegExp(`^Training loss${ends.source}`) }).waitFor();
    await page.getByRole('img', { name: /^Token accuracy: Trial 1 from 100%/ }).waitFor();
    const trials = page.getByRole('region', { name: 'Trials' });
    await trials.getByRole('row', { name: /1 0\.0001 20 0\.5 Best/ }).waitFor();
    await trials.getByRole('row', { name: /2 0\.001 20 1 Stopped early/ }).waitFor();
    await visit.checkAccess();
    await visit.picture(`sweep-${width}-${scheme}`);
    await visit.leave();
  });
}

test('300,000 steps are drawn, and the time after their arrival is logged', async () => {
  const [id] = await seedJobs(bench, [{ status: 'succeeded', suffix: 'long', steps: 300_000 }]);
  const visit = await bench.visit(bench.acme, '/_components');
  const { page } = visit;
  const took = await timeDrawing(page, `/jobs/${id}?tab=curves`);
  console.log(`300,000 steps: drawn ${Math.round(took)} ms after their arrival`);
  await page.goto(`/jobs/${id}?tab=curves&from=100000&to=100400`);
  await page
    .getByRole('img', { name: /at 100,\d\d\d/ })
    .first()
    .waitFor();
  await visit.leave();
});

test('a running job updates live, and a finished job opens on its result', async () => {
  const system = JSON.stringify({
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b' },
    ],
  });
  const { version } = await publishAdapter(bench, bench.acme, 'moved', 'CAUSAL_LM', system);
  const visit = await bench.visit(bench.acme, `/jobs/${version.jobId}`);
  const { page } = visit;
  await page.getByText(version.modelName).first().waitFor();
  await page.getByRole('heading', { name: 'Lineage' }).waitFor();
  await visit.checkAccess();
  await page.getByText('Use in your code').click();
  const code = page.getByRole('region', { name: 'Code for Graft (curl)' });
  await code.getByText('"role":"system","content":"Be brief."').waitFor();
  await page.getByLabel('Runtime', { exact: true }).selectOption('vLLM');
  await page.getByRole('region', { name: 'Code for vLLM' }).getByText('--port 8001').waitFor();
  await visit.checkAccess();
  await visit.picture('job-result');
  await page.getByRole('link', { name: 'Continue training' }).click();
  await page.getByRole('heading', { name: 'New job' }).waitFor();
  assert.equal(await page.getByLabel('Model', { exact: true }).inputValue(), version.modelName);
  await page.goBack();
  await page.getByRole('link', { name: 'Compare with base model' }).click();
  await page.getByText('was trained with this system prompt').waitFor();
  assert.equal(await page.getByRole('textbox', { name: 'System prompt' }).inputValue(), 'Be brief.');
  await page.goBack();
  const download = page.waitForEvent('download');
  await page.getByRole('link', { name: 'Download' }).click();
  assert.match((await download).suggestedFilename(), /\.tar$/);

  const training_file = await bench.acme.upload('{"prompt":"a","completion":"b"}\n');
  const created = await bench.acme.send('POST', '/v1/fine_tuning/jobs', {
    model: 'tiny',
    training_file,
    suffix: 'live',
  });
  const job = await runJob(bench, created.json.id);
  await page.goto(`/jobs/${job.id}`);
  await page.getByText('No values yet').first().waitFor();
  const metric = {
    kind: 'train' as const,
    epoch: 1,
    tokens: 9,
    metrics: {
      token_accuracy: 0.5,
      learning_rate: 1e-4,
      grad_norm: 1,
      tokens_per_second: 9,
      memory_bytes: 812_500_000,
    },
  };
  for (const step of [1, 2, 3]) {
    await recordMetrics(bench.services, leaseOf(job), [{ ...metric, step, loss: 3 - step / 2 }]);
    await recordProgress(bench.services, leaseOf(job), {
      step,
      totalSteps: 10,
      epoch: 1,
      tokens: 9,
      tokensPerSecond: 9,
      secondsRemaining: 125,
      loss: 3 - step / 2,
    });
  }
  const measured = { token_accuracy: 0.5, perplexity: 7.5 };
  const evaluation = { kind: 'evaluation' as const, step: 3, epoch: 1, loss: 2, tokens: null };
  await recordMetrics(bench.services, leaseOf(job), [{ ...evaluation, metrics: measured }]);
  await page.getByText('3 of 10', { exact: true }).waitFor();
  await page.getByText('2 mins 5 secs left').waitFor();
  await page.getByRole('img', { name: /^Loss: training from 2.5 to 1.5/ }).waitFor();
  await page.getByRole('img', { name: /^Memory: used from 812\.5 MB to 812\.5 MB/ }).waitFor();
  // The page reads the series again with the next step.
  await recordProgress(bench.services, leaseOf(job), {
    step: 4,
    totalSteps: 10,
    epoch: 1,
    tokens: 9,
    tokensPerSecond: 9,
    secondsRemaining: 125,
    loss: 1,
  });
  await page.getByRole('img', { name: /^Perplexity: evaluation/ }).waitFor();
  // The curves stay when the job ends, and lead to the result.
  const folder = await bench.services.artifacts.stage(job.id, job.leaseEpoch);
  await writeFile(join(folder, 'adapter_config.json'), '{"peft_type": "LORA"}');
  await publishAdapterVersion(bench.services, leaseOf(job), {
    ...(await bench.services.artifacts.publish(folder)),
    lineage: { base_model: { id: 'tiny', digest: 'b'.repeat(64) }, peft: { peft_type: 'LORA' } },
    metrics: null,
    trainedTokens: 9,
  });
  await page.getByRole('link', { name: 'See the result' }).click();
  await page.getByRole('heading', { name: 'Adapter', exact: true }).waitFor();
  await page.waitForURL(/tab=result/);
  await visit.leave();
});

test('the configuration shows requested and used options with reasons, and the request as code', async () => {
  const training_file = await bench.acme.upload('{"prompt":"a","completion":"b"}\n');
  const request = { model: 'tiny', training_file, suffix: "it's", training: { learning_rate: 0.001 } };
  const refused = await bench.acme.send('POST', '/v1/fine_tuning/jobs', request);
  assert.equal(refused.status, 400);
  const { json } = await bench.acme.send('POST', '/v1/fine_tuning/jobs', {
    ...request,
    suffix: 'configured',
    metadata: { note: "it's" },
  });
  await bench.untilState(json.id, 'queued');
  const visit = await bench.visit(bench.acme, `/jobs/${json.id}?tab=configuration`);
  const { page } = visit;
  const option = page.getByRole('row').filter({ hasText: 'learning_rate' }).first();
  await option.waitFor();
  assert.deepEqual((await option.locator('td').allInnerTexts()).slice(0, 2), ['0.001', '0.001']);
  await page
    .getByRole('row')
    .filter({ hasText: 'n_epochs' })
    .getByText('for few examples, which are seen more often')
    .waitFor();
  const code = page.getByRole('region', { name: 'Request' });
  assert.match((await code.locator('pre').textContent())!, /-d '\{[\s\S]*"note": "it'\\''s"/);
  await page.getByText('Python', { exact: true }).click();
  assert.match(
    (await code.locator('pre').textContent())!,
    /client\.fine_tuning\.jobs\.create\(\n {4}model="tiny",/,
  );
  await page.getByText('CLI', { exact: true }).click();
  assert.match(
    (await code.locator('pre').textContent())!,
    /graft jobs create \\\n {2}--model tiny \\\n {2}--data file-/,
  );
  await page.waitForURL(/as=cli/);
  await visit.checkAccess();
  await visit.leave();
});

test('checkpoints are promoted, events and attempts are listed, and each tab has a URL', async () => {
  const training_file = await bench.acme.upload('{"prompt":"a","completion":"b"}\n');
  const created = await bench.acme.send('POST', '/v1/fine_tuning/jobs', {
    model: 'tiny',
    training_file,
    suffix: 'kept',
  });
  const job = await runJob(bench, created.json.id);
  await keepCheckpoint(bench, job, 10);
  const visit = await bench.visit(bench.acme, `/jobs/${job.id}`);
  const { page } = visit;
  await page.getByRole('button', tab('Checkpoints')).click();
  await page.getByRole('link', { name: 'Try step 10' }).waitFor();
  await visit.checkAccess();
  await visit.picture('job-checkpoints');
  await page.getByRole('link', { name: 'Try step 10' }).click();
  await page.getByRole('heading', { name: 'Playground' }).waitFor();
  assert.equal(await page.getByLabel('Model A', { exact: true }).inputValue(), 'tiny');
  assert.match(
    await page.getByLabel('Model B', { exact: true }).inputValue(),
    /^ft:tiny:acme:kept:\w+:ckpt-step-10$/,
  );
  await page.goBack();
  await page.getByRole('button', { name: 'Promote' }).click();
  await page.getByRole('dialog').getByLabel('Adapter').fill('not a name!');
  visit.expect(/status of 400/);
  await page.getByRole('dialog').getByRole('button', { name: 'Promote' }).click();
  await page
    .getByRole('dialog')
    .getByText(/'name'/)
    .waitFor();
  await visit.checkAccess();
  await page.getByRole('dialog').getByLabel('Adapter').fill('kept');
  await page.getByRole('dialog').getByRole('button', { name: 'Promote' }).click();
  await page.getByText('Promoted to version 1 of kept.').waitFor();
  const adapters = (await bench.acme.send('GET', '/v1/adapters')).json.data.map(
    ({ name }: { name: string }) => name,
  );
  assert.ok(adapters.includes('kept'));

  await page.getByRole('button', tab('Events')).click();
  await page.getByText('Fine-tuning job started').waitFor();
  await visit.checkAccess();
  await page.getByRole('button', tab('History')).click();
  await page.getByText('Trained without interruption.').waitFor();
  await visit.checkAccess();
  await page.reload();
  await page.getByText('Trained without interruption.').waitFor();
  await visit.leave();
});

test('a job with 117 invalid lines shows their error once, and links to the file report', async () => {
  const line = (text: string) => JSON.stringify({ prompt: 'p', completion: text });
  const lines = Array.from({ length: 234 }, (_, i) => line(i % 2 ? 'fine' : 'x'.repeat(80)));
  const training_file = await bench.acme.upload(lines.join('\n'));
  const { json } = await bench.acme.send('POST', '/v1/fine_tuning/jobs', { model: 'tiny', training_file });
  await bench.untilState(json.id, 'failed');
  const visit = await bench.visit(bench.acme, `/jobs/${json.id}`);
  const { page } = visit;
  const fault = page.getByRole('region', { name: 'Why it failed' });
  await fault.waitFor();
  const rows = fault.getByRole('rowheader');
  assert.deepEqual(await rows.allTextContents(), ['1, 3, 5, 7, 9, 11, 13, 15, 17, 19 and 107 more']);
  const { height } = (await fault.boundingBox())!;
  assert.ok(height < 450, `the error is ${height} px high`);
  await visit.checkAccess();
  await visit.picture('job-bad-lines');
  await fault.getByRole('link', { name: 'file report' }).click();
  await page.getByRole('heading', { name: 'Examples that are too long' }).waitFor();
  await page.getByRole('button', { name: 'Show all lines' }).first().click();
  await page.getByText('Showing 100 of 117 lines.').waitFor();
  await visit.leave();
});

test('a failed job shows the kind of error; unknown jobs and another team’s are not found', async () => {
  const [id] = await seedJobs(bench, [{ status: 'failed', suffix: 'broken', steps: 5 }]);
  const visit = await bench.visit(bench.acme, `/jobs/${id}`);
  await visit.page.getByRole('heading', { name: 'Service error' }).waitFor();
  await visit.page.getByText('The trainer ran out of memory.').waitFor();
  await visit.checkAccess();
  await visit.leave();
  const other = await bench.visit(bench.other, `/jobs/${id}`);
  other.expect(/status of 404/);
  await other.page.getByRole('heading', { name: 'Not found' }).waitFor();
  await other.page.getByText(/req_[0-9a-f]{24}/).waitFor();
  await other.checkAccess();
  await other.leave();
});

test('the page shows a lost connection, and recovers when it is back', async () => {
  const [id] = await seedJobs(bench, [{ status: 'succeeded', suffix: 'offline', steps: 9 }]);
  const visit = await bench.visit(bench.acme, '/jobs?search=offline');
  const { page } = visit;
  await page.getByRole('link', { name: 'offline' }).waitFor();
  visit.expect(/ERR_INTERNET_DISCONNECTED|status of 404/);
  await page.context().setOffline(true);
  await page.evaluate((path) => {
    history.pushState(null, '', path);
  }, `/jobs/${id}`);
  await page.getByRole('heading', { name: 'No connection' }).waitFor();
  await page.context().setOffline(false);
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByRole('heading', { name: 'offline', level: 1 }).waitFor();
  await visit.leave();
});

for (const [width, scheme] of [
  [390, 'light'],
  [2560, 'dark'],
] as const) {
  test(`a job fits at ${width} px, ${scheme}`, async () => {
    const [id] = await seedJobs(bench, [
      { status: 'paused', suffix: 'x'.repeat(64), steps: 50, totalSteps: 90 },
    ]);
    for (const name of ['curves', 'result', 'checkpoints', 'configuration', 'events', 'history']) {
      const visit = await bench.visit(bench.acme, `/jobs/${id}?tab=${name}`, { width, scheme });
      await visit.page.getByRole('heading', { level: 1 }).waitFor();
      await visit.page.waitForFunction(() => document.querySelector('.waiting') === null);
      await visit.checkAccess();
      await visit.picture(`job-${name}-${width}-${scheme}`);
      await visit.leave();
    }
  });
}
