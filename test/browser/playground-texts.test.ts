/** The playground of adapters that read texts, with a scripted worker; a real one is tested with the whole service. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import {
  type ScriptedWorker,
  says,
  startScriptedWorker,
} from '../../apps/api/src/testing/scripted-worker.ts';
import { storeAdapter } from '../../apps/api/src/testing/store-adapter.ts';
import { type BrowserBench, openBrowserBench } from './browser-bench.ts';

let bench: BrowserBench;
let worker: ScriptedWorker;
before(async () => {
  bench = await openBrowserBench();
});
after(async () => await bench?.close());
beforeEach(async () => {
  worker = await startScriptedWorker(bench.services, 'worker-texts', says());
  await bench.services.sql.query("UPDATE workers SET heartbeat_at = now() + interval '1 hour'");
});
afterEach(async () => await worker.close());

const numbers = (...values: number[]) => Buffer.from(Float32Array.from(values).buffer).toString('base64');
const lines = (start: object, results: number[][]) => [
  { type: 'start', several_labels: false, labels: null, width: 2, prompt_tokens: 9, ...start },
  { type: 'scores', scores: results.map((values, index) => ({ index, values: numbers(...values) })) },
  { type: 'done' },
];

const visitOf = async (suffix: string, task: string) => {
  const { modelName } = await storeAdapter(bench, bench.acme, suffix, { task });
  return await bench.visit(bench.acme, `/playground?${new URLSearchParams({ a: modelName })}`);
};

test('an adapter of embeddings compares texts', async () => {
  worker.answer = says(
    ...lines({ kind: 'embedding' }, [
      [3, 0],
      [0, 2],
      [1, 1],
    ]),
  );
  const { page } = await visitOf('vectors', 'FEATURE_EXTRACTION');
  await page.getByLabel('Texts, one per line').fill('A brake\nA tyre\n\nA bike');
  await page.getByRole('button', { name: 'Compare' }).click();
  const table = page.getByRole('article', { name: 'Answer of A' }).getByRole('table');
  await table.waitFor();
  const cells = await table.getByRole('cell').allTextContents();
  assert.deepEqual(cells, ['1.00', '0.00', '0.71', '0.00', '1.00', '0.71', '0.71', '0.71', '1.00']);
  assert.deepEqual(worker.requests[0].inputs, ['A brake', 'A tyre', 'A bike']);
  await page.getByLabel('Texts, one per line').fill('A brake');
  await page.getByText('Write at least two texts').waitFor();
});

test('a classifier shows the probabilities of its classes', async () => {
  worker.answer = says(...lines({ kind: 'text', labels: ['workshop', 'shop'] }, [[0, Math.log(3)]]));
  const { page } = await visitOf('classes', 'SEQ_CLS');
  await page.getByLabel('Texts, one per line').fill('Which tyre fits?');
  await page.getByRole('button', { name: 'Classify' }).click();
  const items = page.getByRole('article', { name: 'Answer of A' }).getByRole('listitem');
  await items.first().waitFor();
  assert.deepEqual(await items.allTextContents(), ['shop75.0 %', 'workshop25.0 %']);
});

test('a classifier of words marks them in the text', async () => {
  const words = [0, 0.9, 1, 0.8, 2, 0.99, 2, 0.5];
  worker.answer = says(...lines({ kind: 'words', labels: ['B-PER', 'I-PER', 'O'] }, [words]));
  const { page } = await visitOf('words', 'TOKEN_CLS');
  await page.getByLabel('Texts, one per line').fill('Ada Lovelace lives.');
  await page.getByRole('button', { name: 'Classify' }).click();
  const mark = page.getByRole('article', { name: 'Answer of A' }).locator('mark');
  await mark.waitFor();
  assert.equal(await mark.textContent(), 'Ada LovelacePER');
  assert.equal(await mark.getAttribute('title'), 'PER, 85.0 %');
});

test('an error of the worker has its message, and a retry', async () => {
  const refusal = { type: 'error', status: 400, code: 'context_length_exceeded', param: 'input' };
  worker.answer = says({ ...refusal, message: 'the input has 900 tokens' });
  const { page } = await visitOf('refused', 'SEQ_CLS');
  await page.getByLabel('Texts, one per line').fill('Long');
  await page.getByRole('button', { name: 'Classify' }).click();
  await page.getByText('the input has 900 tokens').waitFor();
  worker.answer = says(...lines({ kind: 'text', labels: ['a', 'b'] }, [[1, 0]]));
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByText('73.1 %').waitFor();
});
