// Files in the browser: uploads with interruptions, invalid lines, reports, deletion.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { writeTinyModel } from '@graft/peft-core/testing';
import type { Page } from 'playwright-core';
import { type BrowserBench, openBrowserBench } from './browser-bench.ts';

/** Like Qwen 3's: reasoning only in the last turn. */
const lookingAhead = `{% for m in messages %}{{ m.role ~ ': ' }}{% if loop.last and m.reasoning_content %}{{ '[' ~ m.reasoning_content ~ ']' }}{% endif %}{{ m.content ~ eos_token }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}`;

let folder: string;
let bench: BrowserBench;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'graft-files-'));
  await writeTinyModel(join(folder, 'tiny'));
  await writeTinyModel(join(folder, 'tiny-thinking'));
  await writeFile(join(folder, 'tiny-thinking', 'chat_template.jinja'), lookingAhead);
  const models = join(folder, 'base-models.json');
  const folders = ['tiny', 'tiny-thinking'].map((name) => [name, { folder: name }]);
  await writeFile(models, JSON.stringify(Object.fromEntries(folders)));
  bench = await openBrowserBench({ GRAFT_BASE_MODELS: models });
  // Large enough to start the thread that validates lines.
  await bench.other.upload(lines(200));
});
after(async () => {
  await bench?.close();
  await rm(folder, { recursive: true, force: true });
});

const line = (answer: string) =>
  JSON.stringify({
    messages: [
      { role: 'user', content: 'Why?' },
      { role: 'assistant', content: answer },
    ],
  });
const lines = (count: number) => Array.from({ length: count }, (_, i) => line(`b${i}`)).join('\n');
const choose = async (page: Page, name: string, content: string) =>
  await page
    .locator('input[type=file]')
    .setInputFiles({ name, mimeType: 'text/plain', buffer: Buffer.from(content) });
const pending = async () => (await bench.acme.send('GET', '/v1/uploads?status=pending')).json.data.length;

test('the empty state shows the next step, and a viewer has no upload', async () => {
  const visit = await bench.visit(bench.acme, '/files');
  await visit.page.getByRole('heading', { name: 'No training data yet' }).waitFor();
  await visit.page.getByRole('button', { name: 'Upload files' }).waitFor();
  await visit.checkAccess();
  await visit.picture('files-none');
  await visit.leave();

  const viewer = await bench.visit(await bench.caller(bench.acme, 'viewer'), '/files');
  await viewer.page.getByText('you have read-only access').waitFor();
  assert.equal(await viewer.page.getByRole('button', { name: 'Upload files' }).count(), 0);
  await viewer.checkAccess();
  await viewer.leave();
});

describe('a file is uploaded', () => {
  test('by the button, and is then in the list', async () => {
    const visit = await bench.visit(bench.acme, '/files');
    const { page } = visit;
    await page.getByRole('button', { name: 'Upload files' }).waitFor();
    await choose(page, 'three.jsonl', lines(3));
    await page.getByText('Ready · 3 examples').waitFor();
    await page.getByRole('table').getByRole('link', { name: 'three.jsonl', exact: true }).waitFor();
    await visit.checkAccess();
    await page.getByRole('button', { name: 'Dismiss three.jsonl' }).click();
    await page.getByText('Ready · 3 examples').waitFor({ state: 'detached' });
    await visit.leave();
  });

  test('by dropping several, one of which is empty', async () => {
    const visit = await bench.visit(bench.acme, '/files');
    const { page } = visit;
    const zone = page.locator('.drop-zone');
    await zone.waitFor();
    const dropped = await page.evaluateHandle((content) => {
      const data = new DataTransfer();
      data.items.add(new File([content], 'dropped.jsonl'));
      data.items.add(new File([''], 'empty.jsonl'));
      return data;
    }, lines(2));
    await zone.dispatchEvent('dragover', { dataTransfer: dropped });
    assert.equal(await zone.getAttribute('data-over'), 'true');
    await zone.dispatchEvent('drop', { dataTransfer: dropped });
    await page.getByText('Ready · 2 examples').waitFor();
    await page.getByText('The file is empty').waitFor();
    await visit.leave();
  });

  test('and rejected with the numbers of its invalid lines; nothing is kept', async () => {
    const visit = await bench.visit(bench.acme, '/files');
    visit.expect(/status of 400/);
    const { page } = visit;
    await page.getByRole('button', { name: 'Upload files' }).waitFor();
    await choose(page, 'bad.jsonl', [line('a'), '{"messages": [}', line('b'), '{"text": 5}'].join('\n'));
    const table = page.getByRole('region', { name: 'Invalid lines of bad.jsonl' });
    await table.waitFor();
    assert.deepEqual(await table.getByRole('rowheader').allTextContents(), ['2', '4']);
    await table.getByText('is not valid JSON').waitFor();
    await page.getByText('2 lines are invalid.').waitFor();
    await visit.checkAccess();
    await visit.picture('files-refused');
    await choose(page, 'worse.jsonl', '{}\n'.repeat(300));
    const worse = page.getByRole('region', { name: 'Invalid lines of worse.jsonl' });
    await worse.waitFor();
    assert.deepEqual(await worse.getByRole('rowheader').allTextContents(), ['1–300']);
    const roles = Array.from({ length: 117 }, (_, i) => {
      const role = String.fromCharCode(97 + (i % 26), 97 + Math.floor(i / 26));
      return JSON.stringify({ messages: [{ role, content: 'a' }] });
    });
    await choose(page, 'worst.jsonl', roles.join('\n'));
    const worst = page.getByRole('region', { name: 'Invalid lines of worst.jsonl' });
    await worst.waitFor();
    assert.equal(await worst.getByRole('rowheader').count(), 10);
    await page.getByText('Showing 10 of 117 lines.').waitFor();
    await page.getByRole('button', { name: 'Show all lines' }).click();
    await page.getByText('Showing 100 of 117 lines.').waitFor();
    await visit.checkAccess();
    assert.equal(await pending(), 0);
    await visit.leave();
  });
});

describe('an interrupted upload', () => {
  const content = `${lines(4)}\n${JSON.stringify({
    messages: [
      { role: 'user', content: 'x'.repeat(2_600_000) },
      { role: 'assistant', content: 'y' },
    ],
  })}`;

  test('is paused, resumed, and sends no part twice', async () => {
    const visit = await bench.visit(bench.acme, '/files');
    const { page } = visit;
    visit.expect(/ERR_FAILED|ERR_INTERNET_DISCONNECTED/);
    let parts = 0;
    let isCut = true;
    await page.route('**/parts', async (route) => {
      if (route.request().method() === 'POST' && isCut && parts > 0) return await route.abort('failed');
      if (route.request().method() === 'POST') parts++;
      await route.continue();
    });
    await page.getByRole('button', { name: 'Upload files' }).waitFor();
    await choose(page, 'large.jsonl', content);
    await page.getByText(/Paused at 40/).waitFor();
    await page.getByText('The server does not respond').waitFor();
    assert.equal(await pending(), 1);
    isCut = false;
    await page.getByRole('button', { name: 'Resume' }).click();
    await page.getByText('Ready · 5 examples').waitFor();
    assert.equal(parts, 3);
    assert.equal(await pending(), 0);
    await visit.leave();
  });

  test('is listed after a reload, and resumes when its file is selected again, or is discarded', async () => {
    const visit = await bench.visit(bench.acme, '/files');
    const { page } = visit;
    visit.expect(/ERR_FAILED|ERR_INTERNET_DISCONNECTED/);
    let parts = 0;
    let isCut = true;
    await page.route('**/parts', async (route) => {
      if (route.request().method() === 'POST' && isCut && parts > 0) return await route.abort('failed');
      if (route.request().method() === 'POST') parts++;
      await route.continue();
    });
    await page.getByRole('button', { name: 'Upload files' }).waitFor();
    await choose(page, 'again.jsonl', content);
    await page.getByText(/Paused at 40/).waitFor();
    await page.reload();
    await page.getByRole('heading', { name: 'Unfinished uploads' }).waitFor();
    await visit.checkAccess();
    isCut = false;
    await choose(page, 'again.jsonl', content);
    await page.getByText('Ready · 5 examples').waitFor();
    assert.equal(parts, 3);

    const form = { filename: 'left.jsonl', purpose: 'fine-tune', bytes: 10, mime_type: 'text/jsonl' };
    assert.equal((await bench.acme.send('POST', '/v1/uploads', form)).status, 200);
    await page.reload();
    await page.getByRole('button', { name: 'Discard left.jsonl' }).click();
    await page.getByRole('heading', { name: 'Unfinished uploads' }).waitFor({ state: 'detached' });
    assert.equal(await pending(), 0);
    await visit.leave();
  });
});

test('a file is downloaded, and deleted after confirmation', async () => {
  const visit = await bench.visit(bench.acme, '/files?q=three');
  const { page } = visit;
  const row = page.getByRole('row', { name: /three\.jsonl/ });
  await row.waitFor();
  assert.equal(await page.getByRole('row').count(), 2);
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    row.getByRole('link', { name: 'Download' }).click(),
  ]);
  assert.equal(await readFile(await download.path(), 'utf8'), lines(3));
  await row.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('button', { name: 'Back' }).click();
  await row.getByRole('button', { name: 'Delete' }).click();
  await visit.checkAccess();
  await page.getByRole('button', { name: 'Delete file' }).click();
  await row.waitFor({ state: 'detached' });
  await visit.leave();
});

describe('the report of a file', () => {
  let id: string;
  before(async () => {
    id = await bench.acme.upload(`${line('good')}\n${line('good')}\n${line('much longer than that')}`);
    // Waits for the thread that reads files.
    const report = async () =>
      (await bench.acme.send('GET', `/v1/files/${id}/report?model=tiny`)).json.status;
    while ((await report()) === 'running') await new Promise((resolve) => setTimeout(resolve, 200));
  });

  test('shows tokens, highlights those that count towards the loss, and lists examples that are too long', async () => {
    const visit = await bench.visit(bench.acme, `/files/${id}?model=tiny`);
    const { page } = visit;
    await page.getByRole('heading', { name: 'Tokens per example' }).waitFor();
    const first = page.getByRole('article', { name: 'Line 1' });
    const highlighted = (await first.locator('mark .token').allTextContents()).join('');
    assert.match(highlighted, /good/);
    assert.doesNotMatch(highlighted, /Why/);
    assert.match((await first.locator('.token').allTextContents()).join(''), /Why\?/);
    await page.getByText('duplicate of line 1').waitFor();
    await visit.checkAccess();
    await visit.picture('file');

    await page.getByLabel('Maximum tokens per example').fill('8');
    await page.getByRole('heading', { name: 'Examples that are too long' }).waitFor();
    assert.equal(new URL(page.url()).searchParams.get('length'), '8');
    await page.reload();
    await page.getByRole('heading', { name: 'Examples that are too long' }).waitFor();
    await page.getByLabel('Maximum tokens per example').fill('-1');
    await page.getByText('Must be a whole number of at least 1.').waitFor();
    await visit.leave();
  });

  test('counts the conversations that the template splits, and names reasoning that it drops', async () => {
    const turn = (content: string) => [
      { role: 'user', content: 'Why?' },
      { role: 'assistant', content, reasoning_content: `So ${content}` },
    ];
    const messages = ['a', 'b', 'c'].flatMap(turn);
    const thoughtful = await bench.acme.upload(`${JSON.stringify({ messages })}\n${line('good')}`);
    const visit = await bench.visit(bench.acme, `/files/${thoughtful}?model=tiny-thinking`);
    const { page } = visit;
    await page.getByText(/^1 conversation is split into 3 examples, one for each message/).waitFor();
    const dropped = page.getByText(/^The chat template drops the reasoning of /);
    assert.deepEqual(await dropped.allTextContents(), [
      'The chat template drops the reasoning of messages[1].',
      'The chat template drops the reasoning of messages[1] and messages[3].',
    ]);
    await visit.checkAccess();
    await visit.picture('file-split');
    await visit.leave();
  });

  test('a missing file and another team’s file are not found', async () => {
    for (const [caller, path] of [
      [bench.acme, '/files/file-none'],
      [bench.other, `/files/${id}`],
    ] as const) {
      const visit = await bench.visit(caller, path);
      visit.expect(/status of 404/);
      await visit.page.getByRole('heading', { name: 'Not found' }).waitFor();
      await visit.checkAccess();
      await visit.leave();
    }
  });

  test('a viewer can read it, but not train or delete', async () => {
    const visit = await bench.visit(await bench.caller(bench.acme, 'viewer'), `/files/${id}?model=tiny`);
    await visit.page.getByRole('heading', { name: 'Tokens per example' }).waitFor();
    await visit.page.getByRole('link', { name: 'Download' }).waitFor();
    assert.equal(await visit.page.getByRole('button', { name: 'Delete' }).count(), 0);
    assert.equal(await visit.page.getByRole('link', { name: 'Train a model' }).count(), 0);
    await visit.leave();
  });
});

test('a thousand files and very long names fit at every width', async () => {
  await bench.services.sql.query(
    `INSERT INTO files (id, "team_id", filename, bytes, sha256, path, purpose, status, format, examples, created_at)
     SELECT 'file-many' || i, $1, CASE WHEN i = 1 THEN repeat('a-name-without-an-end-', 11) ELSE 'many-' || i || '.jsonl' END,
       1000 * i, repeat('a', 64), 'none' || i, 'fine-tune', 'processed', 'chat', i, now() - i * interval '1 hour'
     FROM generate_series(1, 1000) AS i`,
    [bench.other.teamId],
  );
  for (const width of [390, 1280, 2560]) {
    for (const scheme of ['light', 'dark'] as const) {
      const visit = await bench.visit(bench.other, '/files', { width, scheme });
      await visit.page.getByText('200 of 200 loaded').waitFor();
      if (width === 1280) await visit.checkAccess();
      await visit.picture(`files-${width}-${scheme}`);
      await visit.leave();
    }
  }
  const visit = await bench.visit(bench.other, '/files', { width: 390 });
  await visit.page.getByRole('button', { name: 'Show more' }).click();
  await visit.page.getByText('400 of 400 loaded').waitFor();
  await visit.page.getByRole('searchbox', { name: 'Search by name' }).fill('many-333');
  await visit.page.getByText('1 of 400 loaded').waitFor();
  await visit.checkAccess();
  await visit.leave();
});
