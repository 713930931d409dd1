/**
 * A newcomer's path in the browser to a model that runs elsewhere: upload data, train, export as GGUF in q8_0, download, and run the file
 * in llama.cpp, which gives the answers that Graft gives. A real Graft as `npm start` runs it, with its bundled base model.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type ChatMessage, GraftClient } from '@graft/client';
import { openBaseModel } from '@graft/peft-core/files';
import { loadTokenizer } from '@graft/peft-core/text';
import type { Page } from 'playwright-core';
import { buildDashboard } from '../../../scripts/web/build-dashboard.ts';
import { hasRuntime, runGguf } from '../../llama-cpp/runtime.ts';
import {
  freePort,
  graftEnvironment,
  type RunningProcess,
  startProcess,
  whenReady,
} from '../../service/running-graft.ts';
import { openVisits, unfold, type Visits } from '../visits.ts';

const example = join(import.meta.dirname, '../../../examples/bike-shop/train.jsonl');
/** Few examples, often repeated, so that the answers are far from ties, which q8_0 could decide differently. */
const training = readFileSync(example, 'utf8').trim().split('\n').slice(0, 24);
const conversations = training
  .slice(0, 12)
  .map((line) => (JSON.parse(line) as { messages: ChatMessage[] }).messages);
/** Tokens that an answer may have; the labels have about five. */
const longest = 16;

const folder = mkdtempSync(join(tmpdir(), 'graft-train-and-export-'));
const skip = !hasRuntime();
let graft: RunningProcess;
let url: string;
let key: string;
let visits: Visits;

before(async () => {
  if (skip) return;
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
  url = `http://127.0.0.1:${port}`;
  await whenReady(graft, `${url}/readyz`);
  key = /Key +(graft_\w+_\w+)/.exec(printed)![1]!;
  visits = await openVisits(url);
});

after(async () => {
  await visits?.close();
  const code = await graft?.end('SIGTERM');
  rmSync(folder, { recursive: true, force: true });
  if (graft) assert.equal(code, 0, graft.tail());
});

test('train, export as GGUF q8_0, download: llama.cpp gives the same 12 answers', { skip }, async () => {
  const visit = await visits.visit(key, '/files');
  const { page } = visit;
  await step('uploads the training data', () => upload(page));
  await step('trains', () => train(page));
  const model = await step('opens the version and exports it', () => exportVersion(page));
  const file = await step('downloads the export', () => download(page));
  await visit.leave();
  const [ofGraft, ofLlama] = [
    await step('Graft answers', () => answersOfGraft(model)),
    await step('llama.cpp answers', () => answersOfLlama(file)),
  ];
  assert.deepEqual(ofLlama, ofGraft);
  // They are the trained answers, of several kinds: an export without the adapter's update would not give them.
  const trained = conversations.map((messages) => messages.at(-1)!.content);
  const right = ofLlama.filter((text, i) => text === trained[i]).length;
  console.log(`          ${right} of ${trained.length} as trained: ${ofLlama.join(', ')}`);
  assert.ok(right >= 10, `${right} answers are as trained`);
  assert.ok(new Set(ofLlama).size >= 4, ofLlama.join(', '));
});

/** Runs a step and logs how long it took. */
async function step<T>(name: string, part: () => Promise<T>): Promise<T> {
  const start = performance.now();
  const found = await part();
  console.log(`${((performance.now() - start) / 1000).toFixed(1).padStart(6)} s  ${name}`);
  return found;
}

async function upload(page: Page): Promise<void> {
  await page.getByRole('heading', { name: 'No training data yet' }).waitFor();
  const buffer = Buffer.from(training.join('\n'));
  await page
    .locator('input[type=file]')
    .setInputFiles({ name: 'train.jsonl', mimeType: 'text/plain', buffer });
  await page.getByText(`Ready · ${training.length} examples`).waitFor();
  await page.getByRole('table').getByRole('link', { name: 'train.jsonl', exact: true }).click();
}

async function train(page: Page): Promise<void> {
  await page.getByRole('link', { name: 'Train a model', exact: true }).click();
  await unfold(page, 'Training', 'Job details');
  await page.getByLabel('n_epochs').fill('12');
  await page.getByLabel('batch_size', { exact: true }).fill('8');
  await page.getByText('More training options').click();
  await page.getByLabel('learning_rate', { exact: true }).fill('0.002');
  await page.getByLabel('max_seq_length').fill('128');
  await page.getByLabel('Name', { exact: true }).fill('bike-shop');
  await page.getByLabel('Seed', { exact: true }).fill('42');
  await page.locator('.estimate-panel[aria-busy=false]').waitFor();
  await page.getByRole('button', { name: 'Start training', exact: true }).click();
  await page.waitForURL(/\/jobs\/ftjob-/);
  await page.getByText('Succeeded', { exact: true }).waitFor({ timeout: 600_000 });
}

/** Follows the export to its end. Returns the version's model name. */
async function exportVersion(page: Page): Promise<string> {
  await page.getByRole('link', { name: 'Adapters', exact: true }).click();
  await page.getByRole('table').getByRole('link', { name: 'bike-shop', exact: true }).click();
  const name = page.getByText(/^ft:smollm2-135m-instruct:/).first();
  const model = (await name.textContent())!.trim();
  await page.getByRole('button', { name: 'Exports', exact: true }).click();
  await page.getByLabel('Format', { exact: true }).selectOption('gguf');
  await page.getByText('Options', { exact: true }).click();
  await page.getByLabel('dtype', { exact: true }).selectOption('q8_0');
  await page.getByRole('button', { name: 'Export', exact: true }).click();
  const table = page.getByRole('region', { name: 'Exports' });
  await table.getByText('Succeeded', { exact: true }).waitFor({ timeout: 300_000 });
  return model;
}

/** Returns the path of the GGUF file, whose digest is the one that the API states. */
async function download(page: Page): Promise<string> {
  const table = page.getByRole('region', { name: 'Exports' });
  const downloading = page.waitForEvent('download');
  await table.getByRole('link', { name: 'Download', exact: true }).click();
  const tar = join(folder, 'export.tar');
  const archive = await downloading;
  assert.equal(archive.suggestedFilename(), 'bike-shop-v1-gguf.tar');
  await archive.saveAs(tar);
  execFileSync('tar', ['-xf', tar, '-C', folder]);
  const client = new GraftClient({ baseUrl: `${url}/v1`, apiKey: key });
  const [adapter] = await client.adapters.list().toArray(1);
  const [made] = await client.adapters.exports.list(adapter!.id, 1).toArray(1);
  const listed = execFileSync('tar', ['-tf', tar], { encoding: 'utf8' }).trim().split('\n');
  const { path, sha256 } = made!.files.find((each) => each.path.endsWith('.gguf'))!;
  const file = join(folder, listed.find((each) => each.endsWith(path))!);
  assert.equal(createHash('sha256').update(readFileSync(file)).digest('hex'), sha256);
  return file;
}

async function answersOfGraft(model: string): Promise<string[]> {
  const client = new GraftClient({ baseUrl: `${url}/v1`, apiKey: key });
  const replies = conversations.map((messages) =>
    client.chat.completions.create({
      model,
      messages: messages.slice(0, -1),
      max_tokens: longest,
      temperature: 0,
    }),
  );
  return (await Promise.all(replies)).map(({ choices }) => choices[0]!.message.content ?? '');
}

/** Uses nothing but the file: its chat template, its tokens and its weights. */
async function answersOfLlama(model: string): Promise<string[]> {
  const base = await openBaseModel(model);
  try {
    const tokenizer = loadTokenizer(base.tokenizerFiles);
    const texts = conversations.map((messages) =>
      tokenizer.applyChatTemplate(messages.slice(0, -1), { addGenerationPrompt: true }),
    );
    const { texts: prompts } = await runGguf({ model, texts });
    const greedy = prompts.map((prompt) => ({ prompt, tokens: longest }));
    const { answers } = await runGguf({ model, greedy });
    return answers.map((tokens) => tokenizer.decode(tokens));
  } finally {
    base.close();
  }
}
