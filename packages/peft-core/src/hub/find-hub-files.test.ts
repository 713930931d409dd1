// Which files of a data set of the Hub are a split: by its card, and by the names of files.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { cardConfigs, PathPatterns } from './dataset-card.ts';
import { findHubFiles } from './find-hub-files.ts';
import { connectToHub } from './hub-connection.ts';
import { parseHubDataset } from './parse-hub-dataset.ts';
import { HubServer } from './testing/hub-server.ts';

let server: HubServer;
before(async () => {
  server = await HubServer.start();
});
after(() => server.stop());
afterEach(() => {
  server.files.clear();
  server.branches = [];
});

const put = (...paths: string[]) => {
  for (const path of paths) server.files.set(path, Buffer.from(`{"text":"${path}"}\n`));
};
async function found(query = ''): Promise<string[]> {
  const hub = connectToHub('datasets/org/name', { HF_ENDPOINT: server.endpoint });
  const { files } = await findHubFiles(parseHubDataset(`hf://datasets/org/name${query}`), hub);
  return files.map(({ file }) => file.path);
}
const faultOf = async (query = ''): Promise<string> =>
  await found(query).then(String, (error: Error) => error.message);
const shards = (name: string, count: number) =>
  Array.from({ length: count }, (_, i) => `${name}-0000${i}-of-0000${count}.parquet`);

test('a split is found by its whole name, with all of its shards in order', async () => {
  put(
    ...shards('data/train_sft', 3).toReversed(),
    ...shards('data/train_gen', 2),
    ...shards('data/test-prefs', 1),
  );
  assert.deepEqual(await found('?split=train_sft'), shards('data/train_sft', 3));
  assert.deepEqual(await found('?split=test-prefs'), shards('data/test-prefs', 1));
  assert.match(
    await faultOf('?split=train'),
    /may be any of 2 files; choose one with &split=.*train_gen-00000-of-00002/,
  );
  assert.match(await faultOf('?split=sft'), /^data\/train_sft/);
  server.files.delete('data/train_sft-00001-of-00003.parquet');
  assert.match(await faultOf('?split=train_sft'), /has 2 of its 3 files/);
});

test('numbers of versions are no shards, and shards without zeros are in the order of their numbers', async () => {
  put('train_v1.jsonl', 'train_v2.jsonl');
  assert.match(await faultOf(), /may be any of 2 files/);
  server.files.clear();
  put('train-10.jsonl', 'train-9.jsonl', 'train-1.jsonl');
  assert.deepEqual(await found(), ['train-1.jsonl', 'train-9.jsonl', 'train-10.jsonl']);
  put(...Array.from({ length: 100 }, (_, i) => `train-${i + 11}.jsonl`));
  assert.match(await faultOf(), /has 103 files; at most 100 are read as one/);
});

const card = `---
language: [en]
configs:
# The first is that of the leaderboard.
- config_name: socratic
  data_files:
  - split: train
    path: socratic/*.jsonl
- config_name: main
  default: true
  data_files:
    - split: train  # without the drafts
      path:
        - "b/**/part-?.jsonl"
        - 'a.jsonl'
    - split: held_out
      path: c.jsonl
- config_name: raw
  data_dir: raw
dataset_info:
  features: []
---
# A data set
configs:
- config_name: text
`;

test("the card's data_files come before the names of files", async () => {
  put(
    'train.jsonl',
    'a.jsonl',
    'c.jsonl',
    'b/x/part-2.jsonl',
    'b/part-1.jsonl',
    'b/part-10.jsonl',
    'raw/test.jsonl',
  );
  put('socratic/s.jsonl');
  server.files.set('README.md', Buffer.from(card));
  assert.deepEqual(await found(), ['b/part-1.jsonl', 'b/x/part-2.jsonl', 'a.jsonl']);
  assert.deepEqual(await found('?split=held_out'), ['c.jsonl']);
  assert.deepEqual(await found('?config=socratic'), ['socratic/s.jsonl']);
  assert.deepEqual(await found('?config=raw&split=test'), ['raw/test.jsonl']);
  assert.deepEqual(await found('?file=train.jsonl'), ['train.jsonl']);
  assert.match(await faultOf('?split=test'), /no split test; its card names train, held_out/);
  assert.match(await faultOf('?config=other'), /no configuration other; it has socratic, main, raw/);
  server.files.set('README.md', Buffer.from(card.replace('default: true', 'default: false')));
  assert.match(await faultOf(), /several configurations; choose one with &config=: socratic, main, raw/);
});

test('a configuration that the Hub converted is a folder', async () => {
  server.branches = ['refs/convert/parquet'];
  put('main/validation/0000.parquet', 'main/validation/0001.parquet', 'other/validation/0000.parquet');
  assert.match(await faultOf('?split=validation'), /may be any of 2 files/);
  assert.deepEqual(await found('?split=validation&config=other'), ['other/validation/0000.parquet']);
});

test('cards in other forms, and those that cannot be read', () => {
  const splitsOf = (yaml: string) =>
    cardConfigs(`---\n${yaml}\n---\n`).map(({ splits }) => splits && [...splits]);
  const one = (path: string) => [[['train', [path]]]];
  assert.deepEqual(splitsOf('configs:\n- config_name: a\n  data_files: "x.csv"'), one('x.csv'));
  assert.deepEqual(splitsOf('configs:\n  - config_name: a\n    data_files:\n      - x.csv'), one('x.csv'));
  assert.deepEqual(
    splitsOf('configs:\n- data_files:\n  - path: x.csv\n    split: train\n  config_name: a'),
    one('x.csv'),
  );
  const flow = 'configs:\r\n- config_name: a\r\n  data_files:\r\n  - split: train\r\n    path: ["x", \'y\']';
  assert.deepEqual(splitsOf(flow), [[['train', ['x', 'y']]]]);
  for (const other of [
    '',
    'configs: none',
    'configs:\n- a',
    'configs:\n- {config_name: a}',
    'configs:\n  : x',
  ])
    assert.deepEqual(splitsOf(other), []);
  assert.deepEqual(cardConfigs('configs:\n- config_name: a'), []);
  // Deep and long cards end, too.
  assert.deepEqual(splitsOf(`configs:\n${'- '.repeat(100_000)}a`), []);
  assert.deepEqual(
    splitsOf(`configs:\n- config_name: a${' '.repeat(200_000)}b\n  x: ${'['.repeat(100_000)}]`),
    [null],
  );
});

test('patterns are compared in a bounded number of steps', () => {
  const like = new PathPatterns();
  for (const [path, pattern] of [
    ['data/train-1.csv', 'data/train-*'],
    ['data/x/train.csv', '**/train.csv'],
    ['train.csv', '**/train.csv'],
    ['data/x/y.csv', 'data/**'],
    ['a', './?'],
  ] as const)
    assert.ok(like.matches(path, pattern), pattern);
  for (const [path, pattern] of [
    ['data/x/train-1.csv', 'data/train-*'],
    ['data/train.csv', '*.csv'],
    ['a.csv', 'a?csv.gz'],
  ] as const)
    assert.ok(!like.matches(path, pattern), pattern);
  const hostile = () => {
    for (let i = 0; i < 100_000; i++) like.matches('a'.repeat(500), `${'*a'.repeat(200)}b`);
  };
  assert.throws(hostile, { code: 'data_set_not_found', message: /patterns of the data set's card/ });
});
