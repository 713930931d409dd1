/**
 * The new user's whole way, in a browser alone, from an empty installation: a real Graft as `npm start` runs it, with its embedded
 * Postgres and its bundled base model, from the key that it prints to an adapter that is kept. It also makes the pictures of
 * the docs: `GRAFT_PICTURES=docs/images node --import tsx --test test/browser/new-user.test.ts`.
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
import { openVisits, type Visit, type Visits } from './visits.ts';

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
/** Of messages that it is not trained on. */
const heldOut: Example = JSON.parse(linesOf('heldout.jsonl')[0]!);

const folder = mkdtempSync(join(tmpdir(), 'graft-new-user-'));
let graft: RunningProcess;
let key: string;
let visits: Visits;

before(async () => {
  await buildDashboard();
  // So that Postgres' user can reach its place in it.
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

/** Each part of the way says how long it took; no time is judged. */
async function station(name: string, part: () => Promise<void>): Promise<void> {
  const start = performance.now();
  await part();
  console.log(`${((performance.now() - start) / 1000).toFixed(1).padStart(6)} s  ${name}`);
}

test('from the first key to an adapter that answers, is tagged and taken along', async () => {
  const visit = await visits.visit(null, '/', { height: 800 });
  const { page } = visit;
  await station('signs in by the key that Graft printed', () => signIn(page));
  await station('is offered an example, and uploads data of their own that have faults', () =>
    uploadBad(visit),
  );
  await station('uploads the mended data, and sees what the model learns of them', () => uploadGood(visit));
  await station('asks for a job of these data', () => startJob(visit));
  await station('watches it learn', () => watch(visit));
  await station('reads what came of it', () => readResult(visit));
  await station('asks base and adapter the same', () => compare(visit));
  await station('tags the version and takes it along', () => keep(visit));
  await visit.leave();
});

async function signIn(page: Page): Promise<void> {
  await page.getByLabel('API key').fill(key);
  await button(page, 'Sign in').click();
  await heading(page, 'Nothing has been trained here yet').waitFor();
  // They stay signed in; and the font, which no page waits for, is there from now on.
  await page.reload();
  await heading(page, 'Nothing has been trained here yet').waitFor();
  // The short way, which another test goes: one click on an example.
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
  const bad = page.getByRole('region', { name: 'Bad lines of train.jsonl' });
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
  await heading(page, `Examples as ${base} sees them`).waitFor();
  // Of the first example the answer alone is learnt, by the tokens that the model has.
  const first = page.getByRole('article', { name: 'Line 1', exact: true });
  assert.equal(
    (await first.locator('mark .token').allTextContents()).join('').replace('<|im_end|>', '').trim(),
    contentOf(examples[0]!, 'assistant'),
  );
  assert.ok((await first.locator('.token').count()) > 20);
  await heading(page, 'Tokens in an example').evaluate((shown) => shown.scrollIntoView());
  await visit.picture('dashboard-tokens', 'window');
}

async function startJob(visit: Visit): Promise<void> {
  const { page } = visit;
  await link(page, 'Train on it').click();
  assert.equal(await page.getByLabel('Model', { exact: true }).inputValue(), base);
  await page.getByLabel('n_epochs').fill('2');
  await page.getByLabel('batch_size', { exact: true }).fill('8');
  await page.getByText('More options of training').click();
  await page.getByLabel('learning_rate', { exact: true }).fill('0.002');
  await page.getByLabel('max_seq_length').fill('128');
  await page.getByLabel('validation_split').fill('0.1');
  await page.getByLabel('eval_steps').fill('9');
  await page.getByLabel('Name', { exact: true }).fill('bike-shop');
  await page.getByLabel('Seed', { exact: true }).fill('42');
  await heading(page, 'What it comes to').waitFor();
  await page.locator('.outcome[aria-busy=false]').waitFor();
  await page.evaluate(() => scrollTo(0, 0));
  await visit.picture('dashboard-new-job', 'window');
  await button(page, 'Start training').click();
  await page.waitForURL(/\/jobs\/ftjob-/);
}

async function watch(visit: Visit): Promise<void> {
  const { page } = visit;
  const curve = page.getByRole('img', { name: /^Loss: training from [\d.]+ to/ });
  // It moves by itself: a second value comes after a first.
  await curve.waitFor({ timeout: 600_000 });
  const early = (await curve.getAttribute('aria-label'))!;
  await page.waitForFunction(
    (before) =>
      document.querySelector('[aria-label^="Loss: training"]')?.getAttribute('aria-label') !== before,
    early,
  );
  await page.getByText('Succeeded', { exact: true }).waitFor({ timeout: 600_000 });
  // What came by itself ends as what is read anew.
  const anew = await page.context().newPage();
  await anew.goto(`${page.url()}?tab=curves`);
  const whole = (await anew.getByRole('img', { name: /^Loss: training from/ }).getAttribute('aria-label'))!;
  await anew.close();
  await page.getByRole('img', { name: whole, exact: true }).waitFor();
  const [, from, to] = /training from ([\d.]+) to ([\d.]+)/.exec(whole)!;
  assert.ok(Number(to) < Number(from) / 2, `the loss went from ${from} to ${to}`);
  await visit.picture('dashboard-curves', 'window');
}

async function readResult(visit: Visit): Promise<void> {
  const { page } = visit;
  // Whoever comes back to a job that is done sees first what came of it.
  await page.reload();
  await page
    .getByText(/^ft:smollm2-135m-instruct:/)
    .first()
    .waitFor();
  await heading(page, 'Where it comes from').waitFor();
  await visit.checkAccess();
}

async function compare(visit: Visit): Promise<void> {
  const { page } = visit;
  await link(page, 'Try it beside its base').click();
  // The chat has the system prompt of the training data by itself: without it the answers are none of those that were trained.
  await page.getByText('Every training example of').waitFor();
  const system = await page.getByRole('textbox', { name: 'System prompt' }).inputValue();
  assert.equal(system, contentOf(heldOut, 'system'));
  await page.getByText('Sampling').click();
  await page.getByLabel('Temperature').fill('0');
  await page.getByLabel('Tokens at most').fill('24');
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
  await button(page, 'Add the tag').click();
  await page.getByRole('list', { name: 'Tags' }).getByText('production', { exact: true }).waitFor();
  await page.locator('.tags-put input:placeholder-shown').waitFor();
  await visit.picture('dashboard-adapter', 'window');
  const coming = page.waitForEvent('download');
  await link(page, 'Download').click();
  const tar = join(folder, 'adapter.tar');
  await (await coming).saveAs(tar);
  const files = execFileSync('tar', ['-tf', tar], { encoding: 'utf8' }).trim().split('\n');
  const names = files.map((file) => file.split('/').at(-1));
  assert.ok(
    names.includes('adapter_model.safetensors') && names.includes('adapter_config.json'),
    files.join(),
  );
}
