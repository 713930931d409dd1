/** Data sets of the Hub, imported by POST /v1/files/import from a real server that plays the Hub. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { HubServer } from '@graft/peft-core/testing/hub-server';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { assertError } from '../testing/assert-error.ts';
import {
  type ApiBench,
  answerOf,
  type Caller,
  chatLine,
  openApiBench,
  uploadForm,
} from '../testing/open-api-bench.ts';

const token = 'hf_of_the_operator';
const maxBytes = 400_000;
const source = 'hf://datasets/org/name?split=train';

let hub: HubServer;
let bench: ApiBench;
before(async () => {
  hub = await HubServer.start();
  bench = await openApiBench(
    { uploadIdleMs: 60_000 },
    {
      GRAFT_HUB_DATA_SETS: 'org/na*, elsewhere/x',
      GRAFT_MAX_UPLOAD_BYTES: String(maxBytes),
      HF_ENDPOINT: hub.endpoint,
      HF_TOKEN: token,
    },
  );
});
after(async () => {
  await bench?.close();
  hub?.stop();
});
afterEach(() => {
  hub.files.clear();
  hub.corrupt = false;
  hub.misreported = 0;
  hub.silentAfter = null;
  hub.redirectsForever = false;
  hub.refusal = null;
  hub.token = null;
  hub.cuts.length = 0;
});

const send = (team: Caller, body: object = {}) =>
  team.send('POST', '/v1/files/import', { purpose: 'fine-tune', source, ...body });

const lines = (count: number) => Buffer.from('{"text":"a line of text"}\n'.repeat(count));
const faq = Array.from({ length: 300 }, (_, i) => ({ question: `question ${i}`, answer: `answer ${i}` }));
const table = Buffer.from(
  parquetWriteBuffer({
    columnData: [
      { name: 'question', data: faq.map(({ question }) => question) },
      { name: 'answer', data: faq.map(({ answer }) => answer) },
    ],
  }),
);

async function stored(api = bench): Promise<[rows: number, incoming: number, files: number]> {
  const { rows } = await api.services.sql.query<{ n: number; m: number }>(
    'SELECT (SELECT count(*) FROM files)::int AS n, (SELECT count(*) FROM incoming_bytes)::int AS m',
  );
  const entries = await readdir(join(api.services.env.dataDir, 'files'), {
    recursive: true,
    withFileTypes: true,
  }).catch(() => []);
  return [rows[0]!.n, rows[0]!.m, entries.filter((entry) => entry.isFile()).length];
}

async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  for (const end = performance.now() + 30_000; !(await holds()); await sleep(20))
    assert.ok(performance.now() < end, `waited in vain for ${what}`);
}

async function leavesNothing(refused: () => Promise<void>): Promise<void> {
  const before = await stored();
  await refused();
  assert.deepEqual(await stored(), before);
}

test('a Parquet file is stored as it is, with its columns, audited, and only for its team', async () => {
  hub.files.set('README.md', Buffer.from('# FAQ'));
  hub.files.set('data/train-00000-of-00001.parquet', table);
  const answer = await send(bench.acme, { columns: { prompt: 'question', completion: 'answer' } });
  assert.equal(answer.status, 200, answer.text);
  const file = answer.json;
  const { filename, bytes, sha256, format, examples, columns, purpose, status } = file;
  assert.deepEqual(
    { filename, bytes, sha256, format, examples, columns, purpose, status },
    {
      filename: 'org--name-train.parquet',
      bytes: table.length,
      sha256: createHash('sha256').update(table).digest('hex'),
      format: 'prompt_completion',
      examples: 300,
      columns: { prompt: 'question', completion: 'answer' },
      purpose: 'fine-tune',
      status: 'processed',
    },
  );
  assert.deepEqual((await bench.acme.send('GET', `/v1/files/${file.id}`)).json, file);
  assertError(await bench.other.send('GET', `/v1/files/${file.id}`), 404, 'file_not_found');
  const admin = await bench.caller(bench.acme, 'admin');
  const { data } = (await admin.send('GET', '/v1/audit?limit=10')).json;
  assert.ok(
    data.some((entry: { target: string }) => entry.target === file.id),
    JSON.stringify(data),
  );
});

test('the shards of a split are one file, which a job may train on, and no larger than any other', async () => {
  hub.files.set('data/train_sft-00001-of-00002.jsonl', lines(100));
  hub.files.set('data/train_sft-00000-of-00002.jsonl', lines(200));
  const shards = { source: 'hf://datasets/org/name?split=train_sft' };
  const answer = await send(bench.acme, shards);
  assert.equal(answer.status, 200, answer.text);
  const { id, filename, examples, bytes } = answer.json;
  assert.deepEqual([filename, examples], ['org--name-train_sft.tar', 300]);
  const content = await bench.acme.send('GET', `/v1/files/${id}/content`);
  assert.equal(Buffer.byteLength(content.text), bytes);
  const reported = async () => (await bench.acme.send('GET', `/v1/files/${id}/report`)).json;
  await until('the report', async () => (await reported()).status === 'ready');
  const { report } = await reported();
  assert.deepEqual([report.recognised.kind, report.examples, report.lines], ['tar', 300, 300]);
  hub.files.set('data/train_sft-00000-of-00002.jsonl', lines(20_000));
  await leavesNothing(async () => {
    const message = assertError(await send(bench.acme, shards), 413, 'file_too_large', 'source');
    assert.match(
      message,
      /^org--name-train_sft\.tar, of 2 files, has \d+ bytes; a file has at most 400000\.$/,
    );
  });
});

test("the operator's token is never sent, and what only the token may read is not found", async () => {
  hub.files.set('train.jsonl', lines(2000));
  const from = [hub.hub.length, hub.cdn.length] as const;
  assert.equal((await send(bench.other)).status, 200);
  const asked = [...hub.hub.slice(from[0]), ...hub.cdn.slice(from[1])];
  assert.ok(asked.some(({ path }) => path === 'train.jsonl'));
  assert.deepEqual([...new Set(asked.map(({ authorization }) => authorization))], [undefined]);
  hub.token = token;
  await leavesNothing(async () => {
    const message = assertError(await send(bench.other), 400, 'data_set_not_found', 'source');
    assert.match(message, /no public data set org\/name/);
    assert.doesNotMatch(message, /HF_TOKEN/);
  });
});

test('only data sets that the operator allows, and none by default', async () => {
  const asked = hub.hub.length;
  const refused = await send(bench.acme, { source: 'hf://datasets/orgs/name' });
  assert.match(
    assertError(refused, 403, 'data_set_not_allowed', 'source'),
    /may not fetch the data set orgs\/name; .*GRAFT_HUB_DATA_SETS\.$/,
  );
  assertError(
    await send(bench.acme, { source: 'hf://datasets/org/other' }),
    403,
    'data_set_not_allowed',
    'source',
  );
  const closed = await openApiBench({}, { HF_ENDPOINT: hub.endpoint });
  try {
    const message = assertError(await send(closed.acme), 403, 'data_set_not_allowed', 'source');
    assert.match(message, /fetches no data sets of the Hub; .*GRAFT_HUB_DATA_SETS\.$/);
  } finally {
    await closed.close();
  }
  assert.equal(hub.hub.length, asked);
});

test('a request that is wrong by itself reaches no Hub', async () => {
  const asked = hub.hub.length;
  const named = (text: string) => send(bench.acme, { source: `hf://datasets/${text}` });
  for (const text of [
    'org/name/../../x',
    'org/..',
    'org%2fname',
    'org/name?file=../secret.csv',
    'org/name?file=%2e%2e/secret.csv',
    'org/name?file=/etc/x.csv',
    'org/name?revision=..',
    'org/name?revision=a/../../b',
    'org/name?revision=%2e%2e%2fx',
    'org/name?endpoint=http://127.0.0.1',
    'org/name#x',
  ])
    assertError(await named(text), 400, 'invalid_data_set', 'source');
  for (const other of ['http://127.0.0.1/x', 'file:///etc/passwd', 's3://bucket/x', 'hf://models/org/name'])
    assertError(await send(bench.acme, { source: other }), 400, 'invalid_data_set', 'source');
  assertError(await send(bench.acme, { source: undefined }), 400, 'missing_required_parameter', 'source');
  assertError(await send(bench.acme, { source: `hf://${'a'.repeat(2000)}` }), 400, 'invalid_value', 'source');
  assertError(await send(bench.acme, { purpose: 'vision' }), 400, 'invalid_value', 'purpose');
  assertError(await send(bench.acme, { columns: { prompt: '' } }), 400, 'invalid_columns', 'columns');
  assertError(await send(bench.acme, { token: 'x' }), 400, 'unknown_parameter', 'token');
  assertError(
    await send(bench.acme, { expires_after: { seconds: 60 } }),
    400,
    'unsupported_parameter',
    'expires_after',
  );
  const form = await bench.acme.send('POST', '/v1/files/import', uploadForm(chatLine));
  assert.ok(form.status === 400 || form.status === 415, form.text);
  const viewer = await bench.caller(bench.acme, 'viewer');
  assertError(await send(viewer), 403, 'insufficient_role');
  assert.equal(hub.hub.length, asked);
});

test('a split of several files is read whole, and one of them can be named', async () => {
  hub.files.set('data/train-0.jsonl', lines(10));
  hub.files.set('data/train-1.jsonl', lines(11));
  const whole = await send(bench.acme);
  assert.deepEqual([whole.json.filename, whole.json.examples], ['org--name-train.tar', 21]);
  const one = await send(bench.acme, { source: `${source}&file=data/train-1.jsonl` });
  assert.deepEqual([one.json.filename, one.json.examples], ['org--name-train-1.jsonl', 11]);
});

test('bad lines are listed, or accepted', async () => {
  const bad = Buffer.concat([lines(1), Buffer.from('{"text": 5}\n{"nothing": 1}\n')]);
  hub.files.set('train.jsonl', bad);
  await leavesNothing(async () => {
    const answer = await send(bench.acme);
    assert.match(assertError(answer, 400, 'invalid_jsonl', 'source'), /line 2 .*line 3 /);
    assert.equal(answer.json.error.details.length, 2);
  });
  const skipped = await send(bench.acme, { on_bad_lines: 'skip' });
  assert.equal(skipped.json.examples, 1, skipped.text);
  hub.files.set('train.jsonl', Buffer.alloc(0));
  await leavesNothing(async () => void assertError(await send(bench.acme), 400, 'empty_file', 'source'));
});

test('a file over a limit or a quota is refused before its content is requested', async () => {
  hub.files.set('train.jsonl', lines(20_000));
  await leavesNothing(async () => {
    const asked = hub.cdn.length;
    const message = assertError(await send(bench.acme), 413, 'file_too_large', 'source');
    assert.match(message, /org--name-train\.jsonl has 520000 bytes; a file has at most 400000/);
    // Announced as smaller, it ends where the announced bytes do.
    hub.misreported = -200_000;
    assert.equal(hub.cdn.length, asked);
    assertError(await send(bench.acme), 400, 'data_set_corrupt', 'source');
  });
  hub.misreported = 0;
  hub.files.set('train.jsonl', lines(2000));
  const operator = await bench.operator();
  const { id } = (await operator.send('POST', '/v1/admin/teams', { name: 'small' })).json;
  await operator.send('POST', `/v1/admin/teams/${id}/quota`, { stored_bytes: 60_000 });
  const small = await bench.caller({ ...bench.acme, teamId: id, teamName: 'small' }, 'member');
  assert.equal((await send(small)).status, 200);
  await leavesNothing(async () => {
    const asked = hub.cdn.length;
    assertError(await send(small), 403, 'quota_exceeded');
    assert.equal(hub.cdn.length, asked);
  });
});

test('damaged content, a Hub without an answer and redirects without an end leave nothing', async () => {
  hub.files.set('train.jsonl', lines(2000));
  await leavesNothing(async () => {
    hub.corrupt = true;
    const message = assertError(await send(bench.acme), 400, 'data_set_corrupt', 'source');
    assert.match(message, /its digest is not the one that the Hub lists/);
    hub.corrupt = false;
    hub.refusal = { status: 502, code: 'Broken' };
    const away = await send(bench.acme);
    assert.ok(!assertError(away, 503, 'data_set_unavailable', 'source').includes('127.0.0.1'));
    assert.equal(away.headers.get('retry-after'), '5');
    hub.refusal = null;
    hub.redirectsForever = true;
    assertError(await send(bench.acme), 503, 'data_set_unavailable', 'source');
  });
});

test('a silent Hub ends the import', async () => {
  hub.files.set('train.jsonl', lines(2000));
  hub.silentAfter = 1000;
  const impatient = await openApiBench(
    { uploadIdleMs: 100 },
    { GRAFT_HUB_DATA_SETS: '*/*', HF_ENDPOINT: hub.endpoint },
  );
  try {
    const message = assertError(await send(impatient.acme), 503, 'data_set_unavailable', 'source');
    assert.match(message, /silent for 0\.1 seconds/);
    assert.deepEqual(await stored(impatient), [0, 0, 0]);
  } finally {
    await impatient.close();
  }
});

/** A request that can be cut off. */
function open(team: Caller) {
  const body = JSON.stringify({ purpose: 'fine-tune', source });
  const headers = { authorization: `Bearer ${team.key}`, 'content-type': 'application/json' };
  const request = httpRequest(`${bench.url}/v1/files/import`, { method: 'POST', headers });
  request.on('error', () => {});
  request.end(body);
  return request;
}

test('a client that goes away ends the download, and nothing stays', async () => {
  hub.files.set('train.jsonl', lines(2000));
  hub.silentAfter = 10_000;
  await leavesNothing(async () => {
    const before = await stored();
    const request = open(bench.acme);
    await until('the content', async () => hub.sending === 1 && (await stored())[2] === before[2] + 1);
    request.destroy();
    await until(
      'the end of the download',
      async () => hub.sending === 0 && (await stored())[2] === before[2],
    );
  });
});

test('a team fetches two data sets at a time, eight more wait, and other teams neither wait nor lack connections', async () => {
  hub.files.set('train.jsonl', lines(2000));
  hub.silentAfter = 10_000;
  await leavesNothing(async () => {
    const held = Array.from({ length: 10 }, () => open(bench.acme));
    try {
      await until('two downloads', () => hub.sending === 2);
      // Two run and eight wait, so of two more one at least is refused, once all have arrived.
      await until('a full queue', async () => {
        const gone = new AbortController();
        const answer = await Promise.race([
          fetch(`${bench.url}/v1/files/import`, {
            method: 'POST',
            headers: { authorization: `Bearer ${bench.acme.key}`, 'content-type': 'application/json' },
            body: JSON.stringify({ purpose: 'fine-tune', source }),
            signal: gone.signal,
          }).then(answerOf),
          sleep(2000),
        ]);
        gone.abort();
        if (!answer) return false;
        assert.match(assertError(answer, 429, 'too_many_requests'), /2 of a team at a time, and 8 may wait/);
        return true;
      });
      assert.equal(hub.sending, 2);
      hub.silentAfter = null;
      assert.equal((await send(bench.other)).status, 200);
      const { sql } = bench.services;
      const { rows } = await sql.query(
        "SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'",
      );
      assert.equal(rows[0].n, 0);
    } finally {
      for (const request of held) request.destroy();
    }
    await until('the end of all', () => hub.sending === 0);
    const { data } = (await bench.other.send('GET', '/v1/files?limit=1')).json;
    await bench.other.send('DELETE', `/v1/files/${data[0].id}`);
  });
});

test('a server that closes ends imports and says so', async () => {
  const closing = await openApiBench({}, { GRAFT_HUB_DATA_SETS: '*/*', HF_ENDPOINT: hub.endpoint });
  hub.files.set('train.jsonl', lines(2000));
  hub.silentAfter = 10_000;
  const answer = send(closing.acme);
  await until('the content', () => hub.sending === 1);
  const closed = closing.close();
  assertError(await answer, 503, 'service_unavailable');
  await closed;
});
