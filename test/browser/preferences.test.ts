// Preferences in the browser: pairs and judged answers of files, and jobs that learn from them.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type BrowserBench, openBrowserBench, type Visit } from './browser-bench.ts';
import { unfold } from './visits.ts';

let bench: BrowserBench;
let pairs: string;
before(async () => {
  bench = await openBrowserBench();
  pairs = await bench.acme.upload(lines(24, pair), 'pairs.jsonl');
  // Starts the thread that reads files.
  await bench.acme.send('POST', '/v1/fine_tuning/checks', { model: 'tiny', training_file: pairs });
});
after(async () => await bench?.close());

const pair = (i: number) => ({
  prompt: [{ role: 'user', content: `Which tyre fits bike ${i}?` }],
  chosen: [{ role: 'assistant', content: 'A 32 mm tyre fits.' }],
  rejected: [{ role: 'assistant', content: 'Any tyre fits.' }],
});
const judged = (i: number) => ({ prompt: `Bike ${i}?`, completion: ' A 32.', label: i % 4 === 0 });
const lines = (count: number, line: (i: number) => object) =>
  Array.from({ length: count }, (_, i) => JSON.stringify(line(i))).join('\n');

const settled = async ({ page }: Visit) => {
  await page.getByRole('heading', { name: 'Estimate' }).waitFor();
  await page.locator('.estimate-panel[aria-busy=false]').waitFor();
};
const widths = [390, 1280] as const;
const schemes = ['light', 'dark'] as const;

test('a file of pairs: their lengths, and both answers side by side with what differs', async () => {
  for (const width of widths)
    for (const scheme of schemes) {
      const visit = await bench.visit(bench.acme, `/files/${pairs}`, { width, scheme });
      const { page } = visit;
      await page.getByRole('heading', { name: 'Pairs', exact: true }).waitFor();
      await page.getByText('Most chosen answers are longer').waitFor();
      const first = page.getByRole('article', { name: 'Line 1' });
      const part = (role: string) => first.getByRole('region', { name: `Tokens of Line 1, ${role}` });
      assert.match((await part('prompt').textContent())!, /Which tyre fits bike 0\?/);
      const [chosen, rejected] = [part('chosen'), part('rejected')];
      // Marked for screen readers, too.
      await chosen.getByText('[assistant, trained on, differs:').first().waitFor();
      assert.ok((await rejected.locator('[data-differs]').count()) > 0);
      assert.doesNotMatch((await rejected.locator('[data-differs]').allTextContents()).join(), /fits/);
      const [left, right] = [(await chosen.boundingBox())!, (await rejected.boundingBox())!];
      if (width === 390) assert.ok(right.y >= left.y + left.height, 'one below the other');
      else assert.ok(right.x >= left.x + left.width && right.y === left.y, 'side by side');
      await visit.checkAccess();
      await visit.picture(`pairs-${width}-${scheme}`);
      await visit.leave();
    }
});

test('a file of judged answers has the weights to choose', async () => {
  const file = await bench.acme.upload(lines(8, judged), 'judged.jsonl');
  const visit = await bench.visit(bench.acme, `/files/${file}`);
  const { page } = visit;
  await page.getByText('Set either desirable_weight to 3 to 3.99').waitFor();
  await page.getByRole('heading', { name: 'Line 1 · judged desirable' }).waitFor();
  await visit.checkAccess();
  await visit.picture('judged');
  await visit.leave();
});

test('a job that learns from pairs, in the form and as text', async () => {
  const visit = await bench.visit(bench.acme, `/jobs/new?start=tiny&file=${pairs}`);
  const { page } = visit;
  await settled(visit);
  await unfold(page, 'Training method');
  const methods = page.getByRole('region', { name: 'Training method' });
  const names = async () => await methods.getByRole('radio').evaluateAll((all) => all.length);
  assert.equal(await names(), 4);
  assert.equal(await methods.getByRole('radio', { name: /^DPO/ }).isChecked(), true);
  assert.equal(await methods.getByRole('radio', { name: /^Supervised/ }).count(), 0);
  assert.equal(await page.getByLabel('Beta', { exact: true }).getAttribute('placeholder'), '0.1');
  await methods.getByRole('radio', { name: /^SimPO/ }).check();
  await settled(visit);
  await methods.getByText('More SimPO options').click();
  await page.getByLabel('simpo_gamma').fill('1');
  assert.equal(await page.getByLabel('loss_type').count(), 0);
  await methods.getByRole('radio', { name: /^DPO/ }).check();
  await page.getByLabel('Beta', { exact: true }).fill('-1');
  await page.getByRole('heading', { name: '1 problem' }).waitFor();
  assert.equal(await page.getByLabel('Beta', { exact: true }).getAttribute('aria-invalid'), 'true');
  await page.getByLabel('Beta', { exact: true }).fill('0.2');
  await methods.getByText('More DPO options').click();
  await page.getByLabel('label_smoothing', { exact: true }).fill('0.1');
  await page.getByLabel('loss_type').fill('robust');
  await settled(visit);
  await visit.checkAccess();
  await page.getByText('JSON', { exact: true }).click();
  const draft = JSON.parse(await page.getByLabel('Request (JSON)').inputValue());
  assert.deepEqual(draft.method, { type: 'dpo', dpo: { hyperparameters: { beta: 0.2 } } });
  assert.deepEqual(draft.training, {
    validation_split: 0.1,
    preference: { label_smoothing: 0.1, loss_type: 'robust' },
  });
  await page.getByText('Form', { exact: true }).click();
  await settled(visit);
  await page.getByRole('button', { name: /^Start/ }).click();
  await page.waitForURL(/\/jobs\/ftjob-/);
  const id = page.url().split('/').at(-1)!;
  await page.getByText('DPO · LORA on tiny').waitFor();
  await bench.untilState(id, 'queued');
  const job = (await bench.acme.send('GET', `/v1/fine_tuning/jobs/${id}`)).json;
  assert.equal(job.method.type, 'dpo');
  assert.deepEqual(job.training.preference, { beta: 0.2, loss_type: 'robust', label_smoothing: 0.1 });
  await page.goto(page.url().replace(/\?.*|$/, '?tab=configuration'));
  await page.getByRole('row', { name: /^label_smoothing 0\.1/ }).waitFor();
  await page.getByText('"beta": 0.2').waitFor();
  await visit.checkAccess();
  await visit.leave();

  const again = await bench.visit(bench.acme, `/jobs/new?job=${id}`);
  await settled(again);
  assert.equal(await again.page.getByLabel('Beta', { exact: true }).inputValue(), '0.2');
  await again.leave();
});

test('the methods of a file, and the form at every width, in both schemes', async () => {
  const chat = await bench.acme.upload('{"prompt": "a", "completion": "b"}\n'.repeat(4));
  const supervised = await bench.visit(bench.acme, `/jobs/new?start=tiny&file=${chat}`);
  await settled(supervised);
  await unfold(supervised.page, 'Training method');
  await supervised.page.getByText('Other methods learn from pairs of answers').waitFor();
  assert.equal(await supervised.page.getByLabel('Beta', { exact: true }).count(), 0);
  await supervised.leave();
  for (const width of widths)
    for (const scheme of schemes) {
      const visit = await bench.visit(bench.acme, `/jobs/new?start=tiny&file=${pairs}`, { width, scheme });
      await settled(visit);
      await unfold(visit.page, 'Training method');
      await visit.page.getByText('More DPO options').click();
      await visit.checkAccess();
      await visit.picture(`new-job-pairs-${width}-${scheme}`);
      await visit.leave();
    }
});

test('rewards of a job have curves, on its page and in a comparison', async () => {
  const { acme, services } = bench;
  const body = { model: 'tiny', training_file: pairs, method: { type: 'dpo' }, suffix: 'preferring' };
  const { id } = (await acme.send('POST', '/v1/fine_tuning/jobs', body)).json;
  await bench.untilState(id, 'queued');
  // As a worker would leave it.
  await services.sql.query(
    `UPDATE jobs SET state = 'succeeded', finished_at = now(), started_at = now(), fine_tuned_model = 'ft:tiny:acme:preferring:1' WHERE id = $1`,
    [id],
  );
  await services.sql.query(
    `INSERT INTO job_metrics (team_id, job_id, kind, step, epoch, loss, tokens, metrics)
     SELECT $1, $2, k.kind, s, s / 40.0, 0.7 - s / 80.0, s * 100,
            jsonb_build_object('token_accuracy', 0.5 + s / 80.0, 'rewards_margin', s / 10.0, 'rewards_chosen', s / 40.0,
              'logps_chosen', -40 - s / 10.0, 'chosen_token_accuracy', 0.6)
     FROM generate_series(1, 40) s, (VALUES ('train'), ('evaluation')) k(kind) WHERE k.kind = 'train' OR s % 10 = 0`,
    [acme.teamId, id],
  );
  const visit = await bench.visit(acme, `/jobs/${id}?tab=curves`);
  const { page } = visit;
  const chart = (name: RegExp) => page.getByRole('img', { name }).first();
  for (const name of [
    /^Reward accuracy: .*%/,
    /^Reward margin: /,
    /^Log-probability of chosen completions: /,
    /^Token accuracy of chosen completions: .*%/,
  ])
    await chart(name).waitFor();
  await visit.checkAccess();
  await visit.picture('preference-curves');
  await page.goto(new URL(`/compare?jobs=${id}`, page.url()).href);
  await chart(/^Training loss: preferring from/).waitFor();
  await chart(/^Reward accuracy: preferring from .*%/).waitFor();
  await chart(/^Reward margin: preferring from/).waitFor();
  await visit.checkAccess();
  await visit.picture('preference-compare');
  await visit.leave();
});
