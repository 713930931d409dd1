import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { openHubDataset } from './open-hub-dataset.ts';
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
  server.cuts.length = 0;
  server.corrupt = false;
  server.misreported = 0;
  server.silentAfter = null;
  server.redirectsForever = false;
  server.refusal = null;
  server.token = null;
  server.ignoreRanges = false;
});

const open = (query = '', { signal = new AbortController().signal, idleMs = 60_000 } = {}) =>
  openHubDataset(parseHubDataset(`hf://datasets/org/name${query}`), {
    endpoint: server.endpoint,
    signal,
    idleMs,
    retryDelay: 1,
  });
const read = async (query = '', options = {}) => {
  const opened = await open(query, options);
  const pieces: Buffer[] = [];
  for await (const piece of opened.read()) pieces.push(piece);
  return { ...opened, content: Buffer.concat(pieces) };
};
const large = Buffer.from('{"text":"a line"}\n'.repeat(20_000));
const small = Buffer.from('{"text":"a line"}\n');

test('a file is read as it is, with a name of the data set and what was requested', async () => {
  server.files.set('data/train-00000-of-00001.jsonl', large);
  server.files.set('data/test-0.jsonl.gz', small);
  server.files.set('data/test-1.jsonl.gz', small);
  const train = await read();
  assert.deepEqual(
    [train.filename, train.bytes, train.content.equals(large)],
    ['org--name-train.jsonl', large.length, true],
  );
  const one = await read('?split=test&file=data%2Ftest-1.jsonl.gz');
  assert.deepEqual([one.filename, one.content.equals(small)], ['org--name-test-1.jsonl.gz', true]);
  const test = await read('?split=test');
  assert.deepEqual([test.filename, test.bytes, test.shards], ['org--name-test.tar', test.content.length, 2]);
  await assert.rejects(open('?split=dev'), {
    code: 'data_set_not_found',
    message:
      'the data set org/name has no data file of the split dev; it has data/train-00000-of-00001.jsonl, data/test-0.jsonl.gz, data/test-1.jsonl.gz',
  });
  server.files.set('data/empty.csv', Buffer.alloc(0));
  assert.equal((await read('?file=data/empty.csv')).content.length, 0);
});

test('no token is sent, and what is not public is not found', async () => {
  const { HF_TOKEN: before } = process.env;
  process.env.HF_TOKEN = 'hf_operators';
  try {
    server.files.set('train.jsonl', large);
    const from = [server.hub.length, server.cdn.length] as const;
    await read();
    const asked = [...server.hub.slice(from[0]), ...server.cdn.slice(from[1])];
    assert.ok(asked.length > 3);
    assert.deepEqual([...new Set(asked.map(({ authorization }) => authorization))], [undefined]);
    server.token = 'hf_operators';
    await assert.rejects(open(), {
      code: 'data_set_not_found',
      fault: 'user',
      message: /no public data set org\/name/,
    });
    server.refusal = { status: 403, code: 'GatedRepo' };
    await assert.rejects(open(), { code: 'data_set_not_found', message: /not public.*your own account/ });
  } finally {
    if (before === undefined) delete process.env.HF_TOKEN;
    else process.env.HF_TOKEN = before;
  }
});

test('a transfer that is cut off continues where it was, and only with the bytes that follow', async () => {
  server.files.set('train.jsonl', large);
  server.cuts.push(100_000, 50_000);
  const from = server.cdn.length;
  assert.ok((await read()).content.equals(large));
  const ranges = server.cdn.slice(from).map(({ range }) => range);
  assert.equal(ranges.length, 3);
  assert.equal(ranges[0], undefined);
  for (const range of ranges.slice(1)) assert.match(range!, /^bytes=[1-9]\d*-$/);
  server.cuts.push(100_000, 0, 0, 0);
  await assert.rejects(read(), { code: 'data_set_unavailable', fault: 'system' });
  server.cuts.length = 0;
  server.ignoreRanges = true;
  server.cuts.push(100_000);
  await assert.rejects(read(), { code: 'data_set_unavailable', message: /cannot be continued/ });
});

test('other content than the list announces is refused before the end of the reading', async () => {
  server.files.set('train.jsonl', large);
  server.corrupt = true;
  await assert.rejects(read(), { code: 'data_set_corrupt', message: /train\.jsonl .*its digest/ });
  server.corrupt = false;
  server.misreported = -5;
  await assert.rejects(read(), { code: 'data_set_corrupt', message: /longer than/ });
  server.misreported = 5;
  await assert.rejects(read(), { code: 'data_set_unavailable' });
});

test('a Hub that falls silent, redirects without an end or is unavailable ends with an error without its address', async () => {
  server.files.set('train.jsonl', large);
  server.silentAfter = 1000;
  await assert.rejects(read('', { idleMs: 50 }), {
    code: 'data_set_unavailable',
    message: /silent for 0.05 seconds/,
  });
  server.silentAfter = null;
  server.redirectsForever = true;
  const withoutAddress = (error: Error & { code: string }) =>
    error.code === 'data_set_unavailable' && !error.message.includes('127.0.0.1');
  await assert.rejects(read(), withoutAddress);
  server.refusal = { status: 500, code: 'Broken' };
  await assert.rejects(open(), withoutAddress);
});

test('the signal ends a transfer, with its reason', async () => {
  server.files.set('train.jsonl', large);
  server.silentAfter = 1000;
  const gone = new AbortController();
  const reading = read('', { signal: gone.signal });
  while (server.sending === 0) await new Promise(setImmediate);
  gone.abort(new Error('the client hung up'));
  await assert.rejects(reading, /the client hung up/);
});

test('a data set of very many files is not listed to its end', async () => {
  for (let i = 0; i <= 20_000; i++) server.files.set(`data/part-${i}.jsonl`, small);
  await assert.rejects(open(), { code: 'data_set_not_found', message: /more than 20000 files/ });
});

test('names, revisions and files that lead elsewhere are refused before the Hub is asked', () => {
  const wrong = [
    'hf://datasets/org/name/tree/main',
    'hf://datasets/org/..',
    'hf://datasets/org%2f/name',
    'hf://datasets//name',
    'hf://datasets/org/name#x',
    'hf://datasets/org/name@main',
    'hf://datasets/org/na me',
    'hf://models/org/name',
    'https://huggingface.co/datasets/org/name',
    ...['.', '..', '%2e%2e', 'a/../b', '/main', 'a//b', 'a%2F..%2Fb', 'a?b', 'a%00', ''].map(
      (revision) => `hf://datasets/org/name?revision=${revision}`,
    ),
    ...[
      '../x.csv',
      '%2e%2e/x.csv',
      'a/%2E%2E/x.csv',
      '/etc/x.csv',
      '%2Fx.csv',
      'a%5Cx.csv',
      'a//x.csv',
      'a/./x.csv',
      '',
    ].map((file) => `hf://datasets/org/name?file=${file}`),
    'hf://datasets/org/name?split=../x',
    'hf://datasets/org/name?split=a&split=b',
    'hf://datasets/org/name?token=x',
    'hf://datasets/org/name?__proto__=x',
  ];
  for (const text of wrong) assert.throws(() => parseHubDataset(text), { code: 'invalid_data_set' }, text);
  const refs = parseHubDataset(
    'hf://datasets/org/name?revision=refs/convert/parquet&file=data%2Ftrain 1.csv',
  );
  assert.deepEqual([refs.revision, refs.file], ['refs/convert/parquet', 'data/train 1.csv']);
});
