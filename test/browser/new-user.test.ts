/**
 * A new user's first session in the browser: a real Graft as `npm start` runs it, with its embedded Postgres and bundled base model,
 * from the printed key to a tagged adapter. It also takes the screenshots of the docs:
 * `GRAFT_PICTURES=docs/images node --import tsx --test test/browser/new-user.test.ts`.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { buildDashboard } from '../../scripts/web/build-dashboard.ts';
import {
  freePort,
  graftEnvironment,
  type RunningProcess,
  startProcess,
  whenReady,
} from '../service/running-graft.ts';
import { openVisits, unfold, type Visit, type Visits } from './visits.ts';

const base = 'smollm2-135m-instruct';
const example = join(import.meta.dirname, '../../examples/bike-shop');
interface Example {
  messages: { role: string; content: string }[];
}
const linesOf = (name: string) => readFileSync(join(example, name), 'utf8').trim().split('\n');
const contentOf = ({ messages }: Example, role: string) =>
  messages.find((message) => message.role === role)!.content;
const training = linesOf('train.jsonl');
const examples: Example[] = training.map((line) => JSON.parse(line));
const labels = new Set(examples.map((each) => contentOf(each, 'assistant')));
/** A message that is not in the training data. */
const heldOut: Example = JSON.parse(linesOf('heldout.jsonl')[0]!);

const folder = mkdtempSync(join(tmpdir(), 'graft-new-user-'));
let graft: RunningProcess;
let key: string;
let visits: Visits;

before(async () => {
  await buildDashboard();
  // So that Postgres' user can access its folder in it.
  chmodSync(folder, 0o755);
  const port = await freePort();
  graft = startProcess(
    'scripts/start/main.ts',
    [],
    graftEnvironment({ PORT: String(port), GRAFT_DATA_DIR: join(folder, 'data') }),
  );
  let printed = '';
  graft.onOutput((text) => {
    printed += text;
  });
  const url = `http://127.0.0.1:${port}`;
  await whenReady(graft, `${url}/readyz`);
  key = /Key +(graft_\w+_\w+)/.exec(printed)![1]!;
  visits = await openVisits(url);
});

after(async () => {
  await visits?.close();
  const code = await graft?.end('SIGTERM');
  rmSync(folder, { recursive: true, force: true });
  assert.equal(code, 0, graft?.tail());
});

const heading = (page: Page, name: string | RegExp) => page.getByRole('heading', { name });
const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true });
const link = (page: Page, name: string) => page.getByRole('link', { name, exact: true });

/** Runs a step and logs how long it took. */
async function step(name: string, part: () => Promise<void>): Promise<void> {
  const start = performance.now();
  await part();
  console.log(`${((performance.now() - start) / 1000).toFixed(1).padStart(6)} s  ${name}`);
}

test('from the first key to an adapter that answers, is tagged and downloaded', async () => {
  const visit = await visits.visit(null, '/', { height: 800 });
  const { page } = visit;
  await step('signs in with the key that Graft printed', () => signIn(page));
  await step('sees an example, and uploads a file with invalid lines', () => uploadBad(visit));
  await step('uploads the fixed file, and sees which tokens count towards the loss', () => uploadGood(visit));
  await step('creates a job with this file', () => startJob(visit));
  await step('follows the training', () => watch(visit));
  await step('reads the result', () => readResult(visit));
  await step('sends the same prompt to base model and adapter', () => compare(visit));
  await step('tags the version and downloads it', () => keep(visit));
  await visit.leave();
});

async function signIn(page: Page): Promise<void> {
  await page.getByLabel('API key').fill(key);
  await button(page, 'Sign in').click();
  await heading(page, 'No jobs yet').waitFor();
  // The session survives a reload. The font, which no page waits for, is cached from now on.
  await page.reload();
  await heading(page, 'No jobs yet').waitFor();
  // The example, which another test runs, is ready.
  await page.waitForFunction(
    () => document.querySelector('.first-run-example .button')?.getAttribute('aria-disabled') === 'false',
  );
}

async function uploadBad(visit: Visit): Promise<void> {
  const { page } = visit;
  await link(page, 'Files').click();
  await heading(page, 'No training data yet').waitFor();
  const broken = training.slice(0, 20).map((line, i) => {
    if (i === 2) return line.slice(0, -3);
    if (i === 6) return line.replace('"role": "user"', '"role": "customer"');
    return i === 10 ? '{"messages": []}' : line;
  });
  visit.expect(/status of 400/);
  await choose(page, broken.join('\n'));
  const bad = page.getByRole('region', { name: 'Invalid lines of train.jsonl' });
  await bad.waitFor();
  assert.deepEqual(await bad.getByRole('rowheader').allTextContents(), ['3', '7', '11']);
  await visit.picture('dashboard-bad-lines', 'window');
  await button(page, 'Dismiss train.jsonl').click();
}

const choose = async (page: Page, content: string) =>
  await page
    .locator('input[type=file]')
    .setInputFiles({ name: 'train.jsonl', mimeType: 'text/plain', buffer: Buffer.from(content) });

async function uploadGood(visit: Visit): Promise<void> {
  const { page } = visit;
  await choose(page, training.join('\n'));
  await page.getByText(`Ready · ${training.length} examples`).waitFor();
  await page.getByRole('table').getByRole('link', { name: 'train.jsonl', exact: true }).click();
  await heading(page, `Preview as tokenized for ${base}`).waitFor();
  // Only the answer's tokens count towards the loss.
  const first = page.getByRole('article', { name: 'Line 1', exact: true });
  assert.equal(
    (await first.locator('mark .token').allTextContents()).join('').replace('<|im_end|>', '').trim(),
    contentOf(examples[0]!, 'assistant'),
  );
  assert.ok((await first.locator('.token').count()) > 20);
  await heading(page, 'Tokens per example').evaluate((shown) => shown.scrollIntoView());
  await visit.picture('dashboard-tokens', 'window');
}

async function startJob(visit: Visit): Promise<void> {
  const { page } = visit;
  await link(page, 'Train a model').click();
  assert.equal(await page.getByLabel('Model', { exact: true }).inputValue(), base);
  await page.getByLabel('Name', { exact: true }).fill('bike-shop');
  await heading(page, 'Estimate').waitFor();
  await page.locator('.estimate-panel[aria-busy=false]').waitFor();
  await visit.picture('dashboard-new-job', 'window');
  await unfold(page, 'Training', 'Job details');
  await page.getByLabel('n_epochs').fill('2');
  await page.getByLabel('batch_size', { exact: true }).fill('8');
  await page.getByText('More training options').click();
  await page.getByLabel('learning_rate', { exact: true }).fill('0.002');
  await page.getByLabel('max_seq_length').fill('128');
  await page.getByLabel('eval_steps').fill('9');
  await page.getByLabel('Seed', { exact: true }).fill('42');
  await heading(page, 'Estimate').waitFor();
  await page.locator('.estimate-panel[aria-busy=false]').waitFor();
  await button(page, 'Start training').click();
  await page.waitForURL(/\/jobs\/ftjob-/);
}

async function watch(visit: Visit): Promise<void> {
  const { page } = visit;
  const curve = page.getByRole('img', { name: /^Loss: training from [\d.]+ to/ });
  // Live updates: the description changes after the first value.
  await curve.waitFor({ timeout: 600_000 });
  const early = (await curve.getAttribute('aria-label'))!;
  await page.waitForFunction(
    (before) =>
      document.querySelector('[aria-label^="Loss: training"]')?.getAttribute('aria-label') !== before,
    early,
  );
  await page.getByText('Succeeded', { exact: true }).waitFor({ timeout: 600_000 });
  // The live series ends like a freshly loaded one.
  const reloaded = await page.context().newPage();
  await reloaded.goto(`${page.url()}?tab=curves`);
  const whole = (await reloaded
    .getByRole('img', { name: /^Loss: training from/ })
    .getAttribute('aria-label'))!;
  await reloaded.close();
  await page.getByRole('img', { name: whole, exact: true }).waitFor();
  const [, from, to] = /training from ([\d.E-]+) to ([\d.E-]+)/.exec(whole)!;
  assert.ok(Number(to) < Number(from) / 2, `the loss went from ${from} to ${to}`);
  await visit.picture('dashboard-curves', 'window');
}

async function readResult(visit: Visit): Promise<void> {
  const { page } = visit;
  // A finished job opens on its result.
  await page.reload();
  await page
    .getByText(/^ft:smollm2-135m-instruct:/)
    .first()
    .waitFor();
  await heading(page, 'Lineage').waitFor();
  await visit.checkAccess();
}

async function compare(visit: Visit): Promise<void> {
  const { page } = visit;
  await link(page, 'Compare with base model').click();
  // The chat starts with the system prompt of the training data, without which the answers would differ.
  await page.getByText('was trained with this system prompt').waitFor();
  const system = await page.getByRole('textbox', { name: 'System prompt' }).inputValue();
  assert.equal(system, contentOf(heldOut, 'system'));
  await page.getByText('Sampling').click();
  await page.getByLabel('Temperature').fill('0');
  await page.getByLabel('Max tokens').fill('24');
  await page.getByText('Sampling').click();
  await page.getByLabel('Message').fill(contentOf(heldOut, 'user'));
  await button(page, 'Send').click();
  const answer = async (side: string) => {
    const article = page.getByRole('article', { name: `Answer of ${side}` });
    await article.getByText(/\d+ tokens ·/).waitFor({ timeout: 300_000 });
    return (await article.locator('.playground-text').textContent())!.trim();
  };
  const [ofBase, ofAdapter] = [await answer('A'), await answer('B')];
  console.log(`          base: ${JSON.stringify(ofBase)}, adapter: ${JSON.stringify(ofAdapter)}`);
  assert.ok(!labels.has(ofBase), ofBase);
  assert.ok(labels.has(ofAdapter), ofAdapter);
  // The docs show this answer.
  assert.equal(ofAdapter, contentOf(heldOut, 'assistant'));
  await page.evaluate(() => scrollTo(0, 0));
  await visit.picture('dashboard-playground', 'window');
}

async function keep(visit: Visit): Promise<void> {
  const { page } = visit;
  await link(page, 'Adapters').click();
  await page.getByRole('table').getByRole('link', { name: 'bike-shop', exact: true }).click();
  await page.getByLabel('Tag', { exact: true }).fill('production');
  await button(page, 'Add tag').click();
  await page.getByRole('list', { name: 'Tags' }).getByText('production', { exact: true }).waitFor();
  await page.locator('.tag-form input:placeholder-shown').waitFor();
  await visit.picture('dashboard-adapter', 'window');
  const downloading = page.waitForEvent('download');
  await link(page, 'Download').click();
  const tar = join(folder, 'adapter.tar');
  await (await downloading).saveAs(tar);
  const files = execFileSync('tar', ['-tf', tar], { encoding: 'utf8' }).trim().split('\n');
  const names = files.map((file) => file.split('/').at(-1));
  assert.ok(
    names.includes('adapter_model.safetensors') && names.includes('adapter_config.json'),
    files.join(),
  );
  const config = files.find((file) => file.endsWith('adapter_config.json'))!;
  const { base_model_name_or_path: named } = JSON.parse(
    execFileSync('tar', ['-xOf', tar, config], { encoding: 'utf8' }),
  );
  assert.equal(named, 'HuggingFaceTB/SmolLM2-135M-Instruct');
}
