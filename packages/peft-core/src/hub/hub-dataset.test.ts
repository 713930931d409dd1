import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { readDataFile } from '../examples/data-file.ts';
import { fetchHubDataset } from './hub-dataset.ts';
import { parseHubDataset } from './parse-hub-dataset.ts';
import { commit, HubServer } from './testing/hub-server.ts';

let server: HubServer;
let cacheDir: string;
before(async () => {
  server = await HubServer.start();
});
after(() => server.stop());
beforeEach(async () => {
  server.files.clear();
  server.branches = [];
  cacheDir = await mkdtemp(join(tmpdir(), 'graft-hub-'));
});
afterEach(async () => await rm(cacheDir, { recursive: true, force: true }));

const rows = Array.from({ length: 200 }, (_, i) => ({ question: `question ${i}`, answer: `${i}` }));
const table = Buffer.from(
  parquetWriteBuffer({
    columnData: [
      { name: 'question', data: rows.map(({ question }) => question) },
      { name: 'answer', data: rows.map(({ answer }) => answer) },
    ],
  }),
);
const fetched = (query = '') =>
  fetchHubDataset(parseHubDataset(`hf://datasets/org/name${query}`), {
    cacheDir,
    env: { HF_ENDPOINT: server.endpoint },
    retryDelay: 1,
  });

test('a split is downloaded once, with its digest checked, and read as any file', async () => {
  server.files.set('README.md', Buffer.from('# A data set'));
  server.files.set('data/train-00000-of-00001.parquet', table);
  server.files.set('data/test-00000-of-00001.parquet', Buffer.from('other'));
  const path = await fetched();
  assert.equal(path, join(cacheDir, 'data-sets', 'org--name', commit, 'data/train-00000-of-00001.parquet'));
  assert.ok((await readFile(path)).equals(table));
  const { examples, recognised } = await readDataFile(path, { prompt: 'question', completion: 'answer' });
  assert.deepEqual([examples.length, recognised.kind], [200, 'parquet']);
  const before = server.cdn.length;
  assert.equal(await fetched('?split=train'), path);
  assert.equal(server.cdn.length, before);
  server.corrupt = true;
  await rm(path);
  await assert.rejects(fetched(), { code: 'base_model_corrupt' });
  server.corrupt = false;
});

test('shards become one file, and a file of another kind is used where there is no Parquet', async () => {
  server.files.set('train.csv', Buffer.from('prompt,completion\na,b\n'));
  assert.match(await fetched(), /train\.csv$/);
  server.files.set('data/train-0.parquet', table);
  server.files.set('data/train-1.parquet', table);
  const path = await fetched();
  assert.equal(path, join(cacheDir, 'data-sets', 'org--name', commit, 'train.tar'));
  const { examples, recognised } = await readDataFile(path);
  assert.deepEqual([examples.length, examples.at(-1)!.line, recognised.kind], [400, 400, 'tar']);
  assert.deepEqual(await readdir(dirname(path)), ['data', 'train.csv', 'train.tar']);
  const before = server.cdn.length;
  assert.equal(await fetched(), path);
  assert.equal(server.cdn.length, before);
  assert.match(await fetched('?file=data/train-1.parquet'), /train-1\.parquet$/);
  await assert.rejects(fetched('?split=validation&file=none.csv'), { code: 'data_set_not_found' });
});

test('where a data set has no data files, those that the Hub converted are used', async () => {
  server.branches = ['refs/convert/parquet'];
  server.files.set('default/validation/0000.parquet', table);
  assert.match(await fetched('?split=validation'), /default\/validation\/0000\.parquet$/);
  await assert.rejects(fetched('?split=train'), { code: 'data_set_not_found' });
});

test('what is no data set is refused before the Hub is asked', () => {
  for (const wrong of [
    'hf://datasets/name',
    'hf://datasets/../x',
    'hf://models/a/b',
    'hf://datasets/a/b?x=1',
  ])
    assert.throws(() => parseHubDataset(wrong), { code: 'invalid_data_set' }, wrong);
});
