// Invalid lines are corrected in the browser, and options of uploads.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { Page } from 'playwright-core';
import { uploadForm } from '../../apps/api/src/testing/open-api-bench.ts';
import { type BrowserBench, openBrowserBench } from './browser-bench.ts';

let bench: BrowserBench;
before(async () => {
  bench = await openBrowserBench();
});
after(async () => await bench?.close());

const line = (answer: string) =>
  JSON.stringify({
    messages: [
      { role: 'user', content: 'Why?' },
      { role: 'assistant', content: answer },
    ],
  });
const choose = async (page: Page, name: string, content: string | Buffer) =>
  await page
    .locator('input[type=file]')
    .setInputFiles({ name, mimeType: 'text/plain', buffer: Buffer.from(content) });
const listed = async (name: string) => {
  const { json } = await bench.acme.send('GET', '/v1/files');
  return json.data.find(({ filename }: { filename: string }) => filename === name);
};
const contentOf = async (name: string) =>
  (await bench.acme.send('GET', `/v1/files/${(await listed(name)).id}/content`)).text;
/** Stores a file with its invalid lines, and returns its id. */
const store = async (content: string, name: string): Promise<string> => {
  const form = new FormData();
  form.set('on_bad_lines', 'skip');
  for (const [field, value] of uploadForm(content, name)) form.append(field, value);
  return (await bench.acme.send('POST', '/v1/files', form)).json.id;
};

describe('a file that is refused for its invalid lines', () => {
  const lines = [line('a'), '{"messages": [}', line('ü€😀'), '{"text": 5}', '', '{}', line('c')];

  test('is corrected by editing a line and leaving out two, and stored as a new file', async () => {
    const visit = await bench.visit(bench.acme, '/files');
    visit.expect(/status of 400/);
    const { page } = visit;
    await page.getByRole('button', { name: 'Upload files' }).waitFor();
    await choose(page, 'train.jsonl', `\ufeff${lines.join('\r\n')}`);
    await page.getByRole('button', { name: 'Correct lines…' }).click();
    const dialog = page.getByRole('dialog');
    const second = dialog.getByRole('textbox', { name: 'Line 2', exact: true });
    assert.equal(await second.inputValue(), lines[1]);
    const fields = dialog.getByRole('list', { name: 'Invalid lines' });
    assert.deepEqual(await fields.locator('label[for]').allTextContents(), ['Line 2', 'Line 4', 'Line 6']);
    await dialog.getByText('is not valid JSON').waitFor();
    const save = dialog.getByRole('button', { name: 'Save as new file' });

    await save.click();
    await dialog.getByText('1 line cannot be saved yet').waitFor();
    await page.waitForFunction(() => document.activeElement?.ariaInvalid === 'true');
    await second.fill('{"messages": [],\n}');
    await dialog.getByText('Must be one line').waitFor();
    await visit.checkAccess();

    // The API refuses a line that is JSON; the change stays, and the line has its number in the original.
    await dialog.getByRole('checkbox', { name: 'Leave out line 4' }).check();
    const sixth = dialog.getByRole('textbox', { name: 'Line 6', exact: true });
    await sixth.fill('{"messages": "none"}\n');
    await second.fill(line('b'));
    await save.click();
    await dialog.getByText('still has invalid lines').waitFor();
    assert.deepEqual(await fields.locator('label[for]').allTextContents(), ['Line 2', 'Line 4', 'Line 6']);
    assert.equal(await second.inputValue(), line('b'));
    assert.equal(await sixth.inputValue(), '{"messages": "none"}');
    await fields.getByText('messages').last().waitFor();
    assert.equal(await dialog.getByRole('checkbox', { name: 'Leave out line 4' }).isChecked(), true);

    // Closing the dialog keeps the changes.
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Correct lines…' }).click();
    assert.equal(await second.inputValue(), line('b'));
    await dialog.getByRole('button', { name: 'Leave out all other invalid lines' }).waitFor();
    await dialog.getByRole('checkbox', { name: 'Leave out line 6' }).check();
    assert.equal(await dialog.getByLabel('Name of the new file').inputValue(), 'train-corrected.jsonl');
    await save.click();
    await page.getByText('train-corrected.jsonl saved with 4 examples.').waitFor();
    await dialog.waitFor({ state: 'detached' });
    await page.getByRole('table').getByRole('link', { name: 'train-corrected.jsonl', exact: true }).waitFor();
    await visit.leave();

    const expected = `\ufeff${[line('a'), line('b'), lines[2], '', line('c')].join('\r\n')}`;
    assert.deepEqual(
      Buffer.from(await contentOf('train-corrected.jsonl')),
      Buffer.from(expected).subarray(3),
    );
    assert.equal((await listed('train-corrected.jsonl')).bytes, Buffer.byteLength(expected));
    assert.equal(await listed('train.jsonl'), undefined);
    const pending = await bench.acme.send('GET', '/v1/uploads?status=pending');
    assert.deepEqual(pending.json.data, []);
  });

  test('cannot be left without a line', async () => {
    const visit = await bench.visit(bench.acme, '/files');
    visit.expect(/status of 400/);
    const { page } = visit;
    await page.getByRole('button', { name: 'Upload files' }).waitFor();
    await choose(page, 'none.jsonl', '{}\n\n{"text": 5}\n');
    await page.getByRole('button', { name: 'Correct lines…' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Leave out all invalid lines' }).click();
    await dialog.getByRole('button', { name: 'Save as new file' }).click();
    await dialog.getByText('No line is left').waitFor();
    await visit.leave();
  });

  test('of another kind gets advice instead', async () => {
    const visit = await bench.visit(bench.acme, '/files');
    visit.expect(/status of 400/);
    const { page } = visit;
    await page.getByRole('button', { name: 'Upload files' }).waitFor();
    const cases = [
      { name: 'rows.csv', content: 'prompt,completion\na,b\nc\n', advice: 'Only lines of JSON Lines files' },
      {
        name: 'items.json',
        content: `[${line('a')}, {"text": 5}]`,
        advice: 'Only lines of JSON Lines files',
      },
      { name: 'lines.jsonl.gz', content: gzipSync(`${line('a')}\n{}\n`), advice: 'Decompress the file' },
    ];
    for (const { name, content, advice } of cases) {
      await choose(page, name, content);
      const upload = page
        .getByRole('list', { name: 'Uploads' })
        .getByRole('listitem')
        .filter({ hasText: name });
      await upload.getByText(advice).waitFor();
      assert.equal(await page.getByRole('button', { name: 'Correct lines…' }).count(), 0);
      await page.getByRole('button', { name: `Dismiss ${name}` }).click();
    }
    await visit.leave();
  });
});

test('an upload in the form of a new job is corrected, and the copy becomes its training file', async () => {
  const visit = await bench.visit(bench.acme, '/jobs/new');
  visit.expect(/status of 400/);
  const { page } = visit;
  await page.getByRole('button', { name: 'Upload file', exact: true }).waitFor();
  await page.getByText('Options', { exact: true }).first().click();
  await page.getByRole('textbox', { name: 'Columns', exact: true }).first().fill('prompt=q, completion=a');
  await page
    .locator('input[type=file]')
    .last()
    .setInputFiles({
      name: 'faq.jsonl',
      mimeType: 'text/plain',
      buffer: Buffer.from('{"q": "Why?", "a": "So."}\n{"q": 1}\n'),
    });
  await page.getByRole('button', { name: 'Correct lines…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('checkbox', { name: 'Leave out line 2' }).check();
  await dialog.getByLabel('Name of the new file').fill('faq-good.jsonl');
  await page.keyboard.press('Enter');
  await page.getByText('faq-good.jsonl saved with 1 example.').waitFor();
  const file = await listed('faq-good.jsonl');
  assert.deepEqual(file.columns, { prompt: 'q', completion: 'a' });
  await page.waitForFunction(
    (id) => [...document.querySelectorAll('select')].some(({ value }) => value === id),
    file.id,
  );
  assert.equal(new URL(page.url()).pathname, '/jobs/new');
  await visit.leave();
});

test('columns and accepted invalid lines are options of an upload', async () => {
  const visit = await bench.visit(bench.acme, '/files');
  const { page } = visit;
  await page.getByRole('button', { name: 'Upload files' }).waitFor();
  assert.equal(await page.getByLabel('Columns').isVisible(), false);
  await page.getByText('Options', { exact: true }).click();
  await page.getByLabel('Columns').fill('prompt=question,');
  await choose(page, 'mapped.jsonl', '{"question": "Why?", "answer": "So."}\n{"question": 1}\n');
  await page.getByText('Nothing was uploaded. Columns: Must be field=column').waitFor();
  await page.getByLabel('Columns').fill('prompt=question, completion=answer');
  await page.getByLabel('Invalid lines').selectOption('Accept the file');
  await visit.checkAccess();
  await visit.picture('upload-options');
  await choose(page, 'mapped.jsonl', '{"question": "Why?", "answer": "So."}\n{"question": 1}\n');
  await page.getByText('Ready · 1 example').waitFor();
  assert.deepEqual((await listed('mapped.jsonl')).columns, { prompt: 'question', completion: 'answer' });
  await page.getByRole('link', { name: 'Open' }).click();
  await page.getByText('prompt ← question').waitFor();
  await visit.leave();
});

describe('a stored file with invalid lines', () => {
  let id: string;
  before(async () => {
    id = await store([line('a'), '{bad', line('b'), '{}', '{"text": 5}', ''].join('\n'), 'stored.jsonl');
  });

  test('is corrected from its report, and stays as it is', async () => {
    const visit = await bench.visit(bench.acme, `/files/${id}?model=tiny`);
    const { page } = visit;
    await page.getByRole('button', { name: 'Correct lines…' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('textbox', { name: 'Line 4' }).fill(line('c'));
    await dialog.getByRole('button', { name: 'Leave out all other invalid lines' }).click();
    await dialog.getByRole('button', { name: 'Save as new file' }).click();
    await page.getByText('stored-corrected.jsonl saved with 3 examples.').waitFor();
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByRole('heading', { name: 'stored-corrected.jsonl' }).waitFor();
    await visit.leave();
    assert.equal(
      await contentOf('stored-corrected.jsonl'),
      `${[line('a'), line('b'), line('c')].join('\n')}\n`,
    );
    assert.match(await contentOf('stored.jsonl'), /\{bad/);
  });

  test('cannot be corrected by a viewer', async () => {
    const visit = await bench.visit(await bench.caller(bench.acme, 'viewer'), `/files/${id}?model=tiny`);
    await visit.page.getByRole('heading', { name: 'Invalid lines' }).waitFor();
    assert.equal(await visit.page.getByRole('button', { name: 'Correct lines…' }).count(), 0);
    await visit.leave();
  });

  test('of another kind gets advice instead', async () => {
    const csv = await store('prompt,completion\na,b\nc\n', 'stored.csv');
    const visit = await bench.visit(bench.acme, `/files/${csv}?model=tiny`);
    await visit.page.getByText('Only lines of JSON Lines files').waitFor();
    assert.equal(await visit.page.getByRole('button', { name: 'Correct lines…' }).count(), 0);
    await visit.leave();
  });

  test('shows a hundred lines, and cuts long ones, at every width', async () => {
    const long = JSON.stringify({ messages: [], note: 'much-text-without-spaces-'.repeat(4000) });
    const many = Array.from({ length: 300 }, (_, i) => (i % 3 === 0 ? line(`${i}`) : `{"text": ${i}}`));
    const stored = await store([long, ...many].join('\n'), 'many.jsonl');
    for (const width of [390, 1280]) {
      for (const scheme of ['light', 'dark'] as const) {
        const visit = await bench.visit(bench.acme, `/files/${stored}?model=tiny`, { width, scheme });
        const { page } = visit;
        await page.getByRole('button', { name: 'Correct lines…' }).click();
        const dialog = page.getByRole('dialog');
        await dialog.getByRole('checkbox', { name: 'Leave out line 3', exact: true }).check();
        await dialog.getByRole('button', { name: 'Save as new file' }).waitFor();
        assert.equal(await dialog.getByRole('checkbox', { name: /Leave out line/ }).count(), 100);
        const beginning = await dialog.getByRole('textbox', { name: 'Line 1', exact: true }).inputValue();
        assert.ok(beginning.endsWith('…') && beginning.length < 2000);
        await dialog.getByText('can be edited: this is the beginning').waitFor();
        await dialog
          .getByRole('checkbox', { name: /^Leave out 101 more invalid lines: 151, 153–154, / })
          .waitFor();
        await visit.checkAccess();
        await visit.picture(`correct-${width}-${scheme}`, 'window');
        await dialog.getByRole('button', { name: 'Save as new file' }).scrollIntoViewIfNeeded();
        await visit.picture(`correct-end-${width}-${scheme}`, 'window');
        await visit.leave();
      }
    }
  });
});
